"""The folder of a long computation: one writer, one protocol, whole files."""

import json
import math
from pathlib import Path

import pytest

from zcbench.errors import ProtocolError, StoreError, UnknownNameError
from zcbench.storage.run_folder import RunFolder, differences, plain


def test_one_writer(tmp_path: Path) -> None:
    """By construction: a second lock on the same folder is refused, one after the first is not."""
    folder = RunFolder(tmp_path / "run")
    with folder.locked(), pytest.raises(StoreError, match=r"Another run writes to .*run"), folder.locked():
        pass
    with folder.locked():
        pass


def test_one_protocol(tmp_path: Path) -> None:
    """By construction: the same protocol and a free name are adopted; anything else is refused and writes nothing."""
    folder = RunFolder(tmp_path, "trainings")
    asked = {"recipe": {"lr": 0.1, "epochs": 2}, "seeds": (0, 1), "search": {"evaluations": 4}}
    folder.adopt("protocol.json", asked)
    folder.adopt("protocol.json", asked | {"search": {"evaluations": 8}}, free=["search.evaluations"])
    assert folder.read_json("protocol.json")["search"] == {"evaluations": 8}
    before = (tmp_path / "protocol.json").read_bytes()
    other = {"recipe": {"lr": 0.2, "epochs": 2}, "seeds": [0, 1], "search": {"evaluations": 9}, "init": "x"}
    with pytest.raises(ProtocolError, match=r"trainings of another protocol \(recipe.lr: 0.1 → 0.2; init: None → x\)"):
        folder.adopt("protocol.json", other, free=["search.evaluations"])
    with pytest.raises(UnknownNameError):
        RunFolder(tmp_path, refusal=UnknownNameError).adopt("protocol.json", {})
    assert (tmp_path / "protocol.json").read_bytes() == before


def test_differences_by_hand() -> None:
    """By hand: nested names are dotted, a missing one is None, a mapping in the place of a value is one difference."""
    stored, asked = {"a": {"b": 1, "c": 2}, "d": None}, {"a": {"b": 1}, "d": {"e": 3}}
    assert list(differences(stored, asked)) == [("a.c", 2, None), ("d", None, {"e": 3})]


def test_what_a_file_gives_back(tmp_path: Path) -> None:
    """Round trip: content of `plain` is what the file holds, with names that are no UTF-8 and infinite numbers too."""
    folder, content = RunFolder(tmp_path), plain({"file": Path("caf\udce9.py"), "limit": math.inf, "pair": (1, "ü")})
    assert content == {"file": "caf\\udce9.py", "limit": "inf", "pair": [1, "ü"]}
    file = folder.write_json("run.json", content)
    assert folder.read_json("run.json") == content
    assert file.read_text(encoding="utf-8") == json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    """Bad input: a damaged file, one that is no object, and a folder below a file; a missing file is empty."""
    folder = RunFolder(tmp_path)
    assert folder.read_json("none.json") == {}
    for text in ("{", "[1]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(StoreError, match=r"Cannot read .*run\.json.*another folder"):
            folder.read_json("run.json")
    below = RunFolder(tmp_path / "run.json" / "below")
    with pytest.raises(StoreError, match=r"Cannot write to .*below.*kept"):
        below.write_json("run.json", {})
    with pytest.raises(StoreError, match=r"Cannot write to .*below"), below.locked():
        pass
