"""Plug-ins in a run: their content is part of the key of a score, and what they do stops nobody else."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring import packing
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.folder import describe_run, load_run
from zcbench.benchmarks.scoring.resamples import pool
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import ProtocolError, ZcbenchError
from zcbench.runtime.execution import Execution

from ...processes import as_before

MINE = """
import zcbench

@zcbench.proxy("mine", reads="logits", higher_is_better=True, version=VERSION)
def mine(signals):
    "Mine."
    return VALUE
"""


@pytest.fixture
def scored(tmp_path):
    """Scores with a plug-in as it is now, as a new process does, and gives the outcome in words."""

    def start(value: str, version: int = 1, number: int = 1, workers: int = 0, out: str = "run", seed: int = 0) -> str:
        plugin = tmp_path / "mine.py"
        plugin.write_text(MINE.replace("VALUE", value).replace("VERSION", str(version)))
        space = spaces.get("nasbench201(channels=4,cells=1)")
        batch = datasets.batch(datasets.load("digits"), 8, seed=seed)
        archs, how = space.subset("live")[::3000][:number], Execution(workers=workers, plugins=[plugin])
        try:
            with as_before():
                result = score_run(
                    Conditions(space, batch), archs, ["mine", "snip"], [0], tmp_path / out, execution=how
                )
            return f"{result.statuses} {result.fresh}"
        except ZcbenchError as error:
            return f"{type(error).__name__}: {error}"

    return start


def rows(folder: Path) -> list[tuple]:
    with sqlite3.connect(folder / "scores.sqlite") as database:
        query = "SELECT proxy, version, value, count(*) FROM scores WHERE proxy = 'mine' GROUP BY 1, 2, 3"
        return database.execute(query).fetchall()


def test_an_edited_plugin_is_refused(scored, tmp_path):
    """By construction: another value is refused by name, nothing is mixed, and each way out works."""
    assert scored("1.0") == "{'ok': 2} 2"
    refused = scored("2.0", number=2)
    assert refused.startswith("ProtocolError: The proxy 'mine' was edited and is still version 1")
    assert "raise its version" in refused and "another folder" in refused
    assert rows(tmp_path / "run") == [("mine", 1, 1.0, 1)]

    assert scored("1.0  # a comment", number=2, workers=1) == "{'ok': 4} 2"
    assert scored("2.0", number=2, version=2) == "{'ok': 4} 2"
    assert scored("2.0", out="other") == "{'ok': 2} 2"
    assert rows(tmp_path / "run") == [("mine", 1, 1.0, 2), ("mine", 2, 2.0, 2)]


def test_two_definitions_meet_in_no_table(scored, tmp_path):
    """By construction: packing, merging and pooling refuse; equal definitions go together, also through a file."""
    for value, out, seed in (("1.0", "one", 0), ("2.0", "two", 0), ("1.0", "third", 1), ("3.0", "fourth", 1)):
        assert scored(value, out=out, seed=seed) == "{'ok': 2} 2"
    one, two, third, fourth = (tmp_path / name for name in ("one", "two", "third", "fourth"))
    file, again = tmp_path / "packed.parquet", tmp_path / "again.parquet"

    with pytest.raises(ProtocolError, match="two definitions of the proxy mine@1"):
        packing.pack([one, two], file)
    card = packing.pack([one], file)
    assert card["contents"] == load_run(one)[2]["contents"]
    with pytest.raises(ProtocolError, match="two definitions of the proxy mine@1"):
        packing.pack([file, two], again)
    packing.unpack(file, tmp_path / "unpacked")
    assert load_run(tmp_path / "unpacked")[2]["contents"] == card["contents"]
    assert scored("2.0", out="unpacked", number=2).startswith("ProtocolError: The proxy 'mine' was edited")

    assert pool({"one": load_run(one), "third": load_run(third)})[2]["contents"] == card["contents"]
    with pytest.raises(ProtocolError, match="two definitions of the proxy mine@1"):
        pool({"one": load_run(one), "fourth": load_run(fourth)})


def test_a_run_of_before_goes_on(scored, tmp_path):
    """By construction: a store without fingerprints is read, and takes those of now."""
    scored("1.0")
    with sqlite3.connect(tmp_path / "run" / "scores.sqlite") as database:
        database.execute("DROP TABLE contents")
    assert "contents" not in load_run(tmp_path / "run")[2]
    assert scored("1.0", number=2) == "{'ok': 4} 2"
    assert scored("2.0", number=2).startswith("ProtocolError")


def test_a_plugin_without_scores_may_be_edited(tmp_path):
    """By construction: a fingerprint without a row binds nobody."""
    with Store(tmp_path / "scores.sqlite", write=True) as store:
        store.adopt_contents({("mine", 1): "a", ("snip", 1): None})
        store.adopt_contents({("mine", 1): "b"})
        assert store.contents() == {("mine", 1): "b"}


def test_a_run_of_zcbench_alone_has_no_fingerprints(run, tmp_path):
    """By construction: its description and its packed file are as before."""
    run(proxies=["snip"], seeds=[0])
    assert load_run(tmp_path / "run")[2].keys() == {"requests"}
    assert "contents" not in packing.pack([tmp_path / "run"], tmp_path / "packed.parquet")


SURROGATES = """
import warnings

class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")

def register(name, error):
    @proxy(name, reads="logits", higher_is_better=True)
    def made(signals):
        raise error

register("name_of_a_file", ValueError("cannot read " + os.fsdecode(b"caf\\xe9.txt")))
register("of_the_package", __import__("zcbench").errors.BatchError(chr(0xDC80)))
register("without_text", Odd())
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_texts_that_are_no_utf8_are_statuses(run, plugin, archs, tmp_path, workers):
    """By construction: each error becomes a row with an escape in its reason, also when it is packed."""
    names = ["name_of_a_file", "of_the_package", "without_text", "snip"]
    given = {"plugins": [plugin(SURROGATES)], "proxies": names, "archs": archs[:1], "seeds": [0], "workers": workers}
    scores = run(**given, notes={"file": os.fsdecode(b"caf\xe9")}).scores().set_index("proxy")
    assert scores.status.to_dict() == dict.fromkeys(names, "error") | {"snip": "ok"}
    assert scores.reason["name_of_a_file"] == r"ValueError: cannot read caf\udce9.txt"
    assert "its text cannot be made" in scores.reason["without_text"]
    packing.pack([tmp_path / "run"], tmp_path / "packed.parquet")
    assert packing.read(tmp_path / "packed.parquet")[2]["requests"][0]["notes"] == {"file": r"caf\udce9"}
    assert run(**given).fresh == 0


def test_a_description_with_the_name_of_such_a_file(run, tmp_path):
    """By construction: run.json is UTF-8, with an escape in the name."""
    name, result = os.fsdecode(b"caf\xe9.py"), run(proxies=["params"], seeds=[0])
    describe_run(tmp_path / "run", result.protocol, {"plugins": [name]})
    text = (tmp_path / "run" / "run.json").read_bytes().decode("utf-8")
    assert json.loads(text)["requests"][-1] == {"plugins": [r"caf\udce9.py"]}


FORKS = {
    "both_return": "return 1.0 if os.fork() else 2.0",
    "child_first": "number = os.fork()\n    if number: time.sleep(0.3)\n    return 1.0 if number else 2.0",
    "child_raises": "if not os.fork(): raise ValueError('in the other process')\n    return 1.0",
    "child_stays": "if not os.fork(): time.sleep(1000)\n    return 1.0",
    "four": "os.fork()\n    os.fork()\n    return 1.0",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
@pytest.mark.parametrize("workers", [0, 1])
def test_proxies_that_fork_lose_no_row(run, plugin, archs, values, workers, tmp_path):
    """By construction: one row each with the value of the old process; the others are as without it; nobody is left."""
    head = "@proxy('{0}', reads='logits', higher_is_better=True)\ndef {0}(signals):\n    {1}\n"
    code = "".join(head.format(name, body) for name, body in FORKS.items())
    given = {"archs": archs[:2], "seeds": [0], "workers": workers}
    scores = run(**given, plugins=[plugin(code)], proxies=[*FORKS, "snip"], timeout=60).scores()
    assert len(scores) == 12 and set(scores.status) == {"ok"}
    assert set(scores[scores.proxy != "snip"].value) == {1.0}
    alone = run(**given, proxies=["snip"], out=tmp_path / "alone").scores()
    assert scores[scores.proxy == "snip"].value.tolist() == alone.value.tolist()
    listed = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if line.split()[0] == str(os.getpid()) and "spawn_main" in line]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
def test_a_worker_that_dies_while_its_child_stays(run, plugin, archs):
    """By construction: the child holds the pipe open, so that only the worker itself tells of its death."""
    code = """
        @proxy("leaves", reads="logits", higher_is_better=True)
        def leaves(signals):
            if os.fork():
                os._exit(3)
            Path(__file__).with_name(f"child{os.getpid()}").touch()
            time.sleep(1000)
    """
    file = plugin(code)
    scores = run(archs=archs[:1], seeds=[0], workers=1, plugins=[file], proxies=["leaves", "snip"]).scores()
    assert scores.set_index("proxy").status.to_dict() == {"leaves": "worker_died", "snip": "ok"}
    for mark in file.parent.glob("child*"):
        state = Path(f"/proc/{mark.name.removeprefix('child')}/stat")
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"
