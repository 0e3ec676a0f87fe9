"""Registry, plug-ins, their content, and random streams."""

import functools
import os
import pickle
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from zcbench.benchmarks.ranking.ensembles import ensemble
from zcbench.content import class_content, content
from zcbench.distill import distiller
from zcbench.errors import DuplicateNameError, RegistrationError, UnknownNameError
from zcbench.plugins import PluginError, load_file
from zcbench.proxies import REGISTRY, Proxy, proxy, resolve
from zcbench.registry import Derived, Registry
from zcbench.runtime.parcel import parcel
from zcbench.spaces import register
from zcbench.streams import derive, numpy_stream, seeded, torch_stream

GROUP = "zcbench.tests"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a good entry point, a broken one, and one whose name is taken."""
    (tmp_path / "good_plugin.py").write_text("thing = object()\nother = object()\n")
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no such luck')\n")
    metadata = tmp_path / "plugins-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
    points = "good = good_plugin:thing\nbroken = broken_plugin:thing\ntaken = good_plugin:other\n"
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "good_plugin", raising=False)
    return tmp_path


def test_entry_points_are_listed_without_import_and_loaded_when_used(installed):
    """The list imports nothing; a look-up imports one module and gives its object."""
    registry: Registry[object] = Registry("thing", group=GROUP)
    assert registry.names() == ["broken", "good", "taken"]
    assert "good_plugin" not in sys.modules
    assert registry.get("good") is sys.modules["good_plugin"].thing


def test_a_broken_entry_point_stops_nothing_else(installed):
    """It keeps its name and its error; the others are usable."""
    registry: Registry[object] = Registry("thing", group=GROUP)
    items, broken = registry.usable()
    assert len(items) == 2
    assert "RuntimeError: no such luck" in str(broken["broken"])
    with pytest.raises(PluginError, match="broken_plugin:thing"):
        registry.get("broken")


def test_an_entry_point_cannot_take_a_name(installed):
    """Both places are named."""
    registry: Registry[object] = Registry("thing", group=GROUP)
    registry.add("taken", object(), "here.py:3")
    with pytest.raises(DuplicateNameError, match=r"here\.py:3 and the entry point 'good_plugin:other'"):
        registry.get("taken")


def test_names_are_taken_once_and_unknown_ones_have_neighbours():
    """A second definition names both places; the same place may register again."""
    registry: Registry[int] = Registry("number")
    registry.add("seven", 7, "a.py:1")
    registry.add("seven", 8, "a.py:1")
    assert registry.get("seven") == 8
    with pytest.raises(DuplicateNameError, match=r"a\.py:1 and b\.py:1"):
        registry.add("seven", 7, "b.py:1")
    with pytest.raises(UnknownNameError, match=r"'sven' is no known number\. Did you mean 'seven'"):
        registry.get("sven")
    assert "seven" in registry and list(registry) == ["seven"]


def test_a_plugin_file_runs_once_and_fails_by_name(tmp_path):
    """A counter in the file, a syntax error, a missing file and a file of another kind."""
    counter, good = tmp_path / "counter", tmp_path / "good.py"
    good.write_text(f"open({str(counter)!r}, 'a').write('x')")
    load_file(good)
    load_file(good)
    assert counter.read_text() == "x"
    (tmp_path / "bad.py").write_text("def broken(:\n")
    for name, message in {"bad.py": "SyntaxError", "none.py": "No plug-in at"}.items():
        with pytest.raises(PluginError, match=message):
            load_file(tmp_path / name)
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(PluginError, match=r"is no Python file"):
        load_file(tmp_path / "notes.md")


def test_streams_are_functions_of_their_key():
    """Invariance: equal keys give equal draws whatever was drawn before; close keys give others."""
    assert derive("a", 1) == derive("a", 1) != derive("a", 2)
    assert derive("ab", "c") != derive("a", "bc")
    first = numpy_stream("x").random(3)
    np.random.default_rng(0).random()
    assert (numpy_stream("x").random(3) == first).all()
    assert torch.equal(torch.rand(3, generator=torch_stream("x")), torch.rand(3, generator=torch_stream("x")))


def test_a_seeded_block_gives_the_global_state_back():
    """Invariance: PyTorch's generator goes on as if the block had not been there."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with seeded("block"):
        inside = torch.rand(2)
    with seeded("block"):
        assert torch.equal(torch.rand(2), inside)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        (["all"], ["b", "kd:a", "kd:b", "kd:c"]),
        (["kd:*"], ["kd:a", "kd:b", "kd:c"]),
        (["kd:?", "b", "kd:a"], ["kd:a", "kd:b", "kd:c", "b"]),
        (["kd:*", "-kd:b"], ["kd:a", "kd:c"]),
        (["-kd:*"], ["b"]),
        (["kd:a(hyperparameter=1)", "-kd:*"], ["kd:a(hyperparameter=1)"]),
        (["unheard"], ["unheard"]),
    ],
)
def test_entries_of_a_list(entries: list[str], names: list[str]) -> None:
    """Closed form: names, patterns, and what is left out; a plain name is looked up by whoever uses it."""
    registry: Registry[int] = Registry("number")
    for number, name in enumerate(["kd:b", "b", "kd:a", "kd:c"]):
        registry.add(name, number, f"here.py:{number}", own=True)
    assert registry.select(entries) == names


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    """The message has the pattern."""
    with pytest.raises(UnknownNameError, match=r"dk:\*"):
        Registry("number").select(["dk:*"])


def test_a_name_to_leave_out_must_be_there() -> None:
    """A misspelt name would be scored all the same; the message has the nearest."""
    registry: Registry[int] = Registry("number")
    registry.add("one", 1, "here.py:1")
    with pytest.raises(UnknownNameError, match="Did you mean 'one'"):
        registry.select(["all", "-oen"])


BAD_NAMES = ["", " ", "all", "none", "-x", ".x", "a,b", "a b", "kd:at", "kd:new", "a(b)", "*", "a\n", "é", "a/b", None]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_cannot_be_registered(name) -> None:
    """By construction: refused in one sentence by every registry, and nothing is registered."""

    def function(*args, **options):
        return 1.0

    before = REGISTRY.names()
    attempts = [
        lambda: proxy(name, reads="logits", higher_is_better=True)(function),
        lambda: distiller(name, reads="logits")(function),
        lambda: register(name, function),
        lambda: ensemble(name, "rank_sum(snip,naswot)"),
        lambda: Registry("thing").add(name, 1, "here.py:1"),
        lambda: resolve([Proxy(name, function, frozenset({"logits"}), True, True)]),
    ]
    for attempt in attempts:
        with pytest.raises(RegistrationError, match=r"^[^\n]*$"):
            attempt()
    assert REGISTRY.names() == before


@pytest.mark.parametrize("name", ["x", "X_1", "my-proxy", "v1.2", "_private", "7"])
def test_names_that_can(name) -> None:
    """By construction: letters, digits, underscore, hyphen and full stop."""
    registry: Registry[int] = Registry("number")
    registry.add(name, 1, "here.py:1")
    assert registry.names() == [name]


def test_nothing_is_shadowed() -> None:
    """By construction: a derived name stays what it is; a name of zcbench is refused, also for an object."""
    registry: Registry[str] = Registry("thing")
    registry.derive(Derived("kd:", lambda: ["at"], lambda name: f"derived {name}", lambda name: "there"))
    registry.derive(Derived("kd:", lambda: ["at"], lambda name: f"derived {name}", lambda name: "there"))
    with pytest.raises(RegistrationError, match="reserved"):
        registry.add("kd:at", "mine", "here.py:1")
    assert (registry.get("kd:at"), registry.names()) == ("derived at", ["kd:at"])
    with pytest.raises(DuplicateNameError, match="'snip' is a proxy of zcbench"):
        resolve([Proxy("snip", lambda signals: 1.0, frozenset({"logits"}), True, True)])
    with pytest.raises(RegistrationError, match="'snip' has the name of a proxy"):
        ensemble("snip", "rank_sum(macs,naswot)")
    with pytest.raises(DuplicateNameError, match="nasbench201"):
        register("nasbench201", lambda: None)


def test_an_entry_point_with_a_wrong_name_is_listed_as_broken(tmp_path, monkeypatch) -> None:
    """By construction: it has its error, and takes neither a derived name nor the word for all names."""
    metadata = tmp_path / "odd-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nall = os:sep\nkd:at = os:sep\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[str] = Registry("thing", group=GROUP)
    registry.derive(Derived("kd:", lambda: ["at"], lambda name: "derived", lambda name: "there"))
    assert registry.get("kd:at") == "derived"
    assert "cannot be the name" in str(registry.trouble("all"))


def test_a_first_load_that_fails_is_tried_again() -> None:
    """By construction: the first attempt registers half and raises; the next look-up has the whole."""
    failures = [MemoryError("first"), KeyboardInterrupt()]

    def load() -> None:
        registry.add("one", 1, "here.py:1", own=True)
        if failures:
            raise failures.pop()
        registry.add("two", 2, "here.py:2", own=True)

    registry: Registry[int] = Registry("number", builtins=load)
    for error in (KeyboardInterrupt, MemoryError):
        with pytest.raises(error):
            registry.names()
    assert registry.names() == ["one", "two"]


def test_first_looks_of_two_threads() -> None:
    """By construction: a load that takes its time; nobody sees half of it, and it runs once."""
    runs, seen = [], []

    def load() -> None:
        runs.append(1)
        registry.add("one", 1, "here.py:1", own=True)
        time.sleep(0.2)
        registry.add("two", 2, "here.py:2", own=True)

    registry: Registry[int] = Registry("number", builtins=load)
    threads = [threading.Thread(target=lambda: seen.append(registry.names())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["one", "two"]] * 3 and runs == [1]


def test_an_edited_plugin_is_not_taken_for_the_old_one(tmp_path) -> None:
    """By construction: edited within a second, to the same length; a process refuses it, a new one has the new."""
    file = tmp_path / "edited.py"
    file.write_text("value = 1")
    assert load_file(file).value == 1
    file.write_text("value = 2")
    with pytest.raises(PluginError, match=r"edited\.py' was edited after this process had loaded it"):
        load_file(file)
    file.write_text("value = 1")
    assert load_file(file).value == 1


def test_what_is_sent_to_a_worker_names_the_version_of_its_plugin(tmp_path) -> None:
    """By construction: opened while the file is as it was, refused once it is edited."""
    file = tmp_path / "sent.py"
    file.write_text("class Sent:\n    value = 1\n")
    sent = parcel(load_file(file).Sent())
    assert pickle.loads(sent).value == 1
    file.write_text("class Sent:\n    value = 2\n")
    with pytest.raises(PluginError, match=r"sent\.py' has changed"):
        pickle.loads(sent)


@pytest.mark.parametrize(
    "line", ["torch.set_default_dtype(torch.float64)", "torch.set_num_threads(3)", "numpy.seterr(all='raise')"]
)
def test_settings_that_a_plugin_changes_while_it_is_loaded(line, tmp_path) -> None:
    """Invariance: the settings are those of before."""

    def settings():
        return torch.get_default_dtype(), torch.get_num_threads(), np.geterr()

    before, file = settings(), tmp_path / "setting.py"
    file.write_text(f"import numpy, torch\n{line}\n")
    load_file(file)
    assert settings() == before


def test_functions_that_a_plugin_replaces_while_it_is_loaded(tmp_path) -> None:
    """By construction: refused by name, and put back."""
    before, file = torch.nn.functional.relu, tmp_path / "patching.py"
    file.write_text("import torch.nn.functional as F\nF.relu = F.gelu\n")
    with pytest.raises(PluginError, match=r"replaces torch\.nn\.functional\.relu"):
        load_file(file)
    assert torch.nn.functional.relu is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
def test_a_plugin_that_forks_while_it_is_loaded(tmp_path) -> None:
    """By construction: the other process ends there; were it to go on, this test would be reported twice."""
    file, mark = tmp_path / "forking.py", tmp_path / "mark"
    file.write_text("import os\nnumber = os.fork()\nif number:\n    os.waitpid(number, 0)\n")
    load_file(file)
    with open(mark, "a") as out:
        out.write("x")
    assert mark.read_text() == "x"


PLUGIN = """
import math
from pathlib import Path

SCALE = 2.0

def factor(x):
    return SCALE * x

def unused():
    return 1

def score(signals):
    "Its documentation."
    return factor(1.0)
"""


@pytest.fixture
def content_of(tmp_path):
    """Fingerprint of the function ``score`` of a plug-in with this code."""
    numbers = iter(range(100))

    def write(code: str) -> str | None:
        file = tmp_path / f"plugin{next(numbers)}.py"
        file.write_text(code)
        return content(load_file(file).score)

    return write


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Its documentation.", "Another.", True),
        ("SCALE = 2.0", "# a comment\nSCALE   =   2.0", True),
        ("def unused():\n    return 1", "def unused():\n    return 2", True),
        ("SCALE = 2.0", "SCALE = 3.0", False),
        ("SCALE * x", "SCALE + x", False),
        ("factor(1.0)", "factor(2.0)", False),
        ("import math", "import cmath as math", False),
        ("    return factor", "    print()\n    return factor", False),
        ("def score", "for SCALE in [5.0]:\n    pass\n\ndef score", False),
        ("def score", "factor.__defaults__ = (3,)\n\ndef score", False),
    ],
)
def test_content_is_the_code_that_a_result_depends_on(old, new, same, content_of) -> None:
    """By construction: what is edited either can change a result or cannot."""
    assert old in PLUGIN
    assert (content_of(PLUGIN) == content_of(PLUGIN.replace(old, new))) == same


def test_content_covers_the_modules_beside_a_plugin(content_of, tmp_path, monkeypatch) -> None:
    """By construction: a module in its folder, and one that this imports, are edited; NumPy is not looked into."""
    monkeypatch.syspath_prepend(tmp_path)
    code = "import numpy\nfrom content_helper import factor\n\ndef score(signals):\n    return factor(1.0)\n"
    helper = "from content_deeper import SCALE\n\ndef factor(x):\n    return SCALE * x\n"
    (tmp_path / "content_helper.py").write_text(helper)
    (tmp_path / "content_deeper.py").write_text("SCALE = 2\n")
    first = content_of(code)
    assert content_of(code) == first
    (tmp_path / "content_deeper.py").write_text("SCALE = 3\n")
    assert content_of(code) != first


def test_content_of_functions_made_with_values() -> None:
    """By construction: closures, defaults, partials and objects of other values are other functions."""

    def make(value):
        return lambda signals: value

    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, signals):
            return self.scale

    def scaled(signals, scale=1):
        return scale

    pairs = [(make(1), make(2)), (Scaled(1), Scaled(2)), [functools.partial(scaled, scale=n) for n in (1, 2)]]
    for one, other in pairs:
        assert content(one) != content(other)
    assert content(make(1)) == content(make(1)) and content(Scaled(1)) == content(Scaled(1))
    typed = {}
    exec("def one(s): return 1.0\ndef same(s): return 1.0\ndef other(s): return 2.0", typed)
    assert content(typed["one"]) == content(typed["same"]) != content(typed["other"])


SPACES = """
BASE = 2

class Base:
    width = BASE

class Own(Base):
    \"\"\"Its documentation.\"\"\"
    height = 3

class Unused:
    pass
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Its documentation.", "Another.", True),
        ("    pass", "    height = 4", True),
        ("height = 3", "height = 3  # a comment", True),
        ("height = 3", "height = 4", False),
        ("width = BASE", "width = BASE + 1", False),
        ("BASE = 2", "BASE = 3", False),
    ],
)
def test_content_of_a_class_is_the_code_that_it_depends_on(old, new, same, tmp_path) -> None:
    """By construction: what is edited is a part of the class, of its base, or of neither."""
    assert old in SPACES
    (tmp_path / "one.py").write_text(SPACES)
    (tmp_path / "other.py").write_text(SPACES.replace(old, new))
    one, other = (class_content(load_file(tmp_path / name).Own) for name in ("one.py", "other.py"))
    assert one is not None and (one == other) == same


def test_content_of_a_class_without_a_source() -> None:
    """By construction: classes made in an interpreter differ where their functions or values do; zcbench has none."""
    made = [{"__name__": f"interpreter{n}"} for n in (1, 1, 2)]
    for n, names in zip((1, 1, 2), made):
        exec(f"class Own:\n    def size(self): return {n}", names)
    one, same, other = (class_content(names["Own"]) for names in made)
    assert one == same != other and class_content(type(REGISTRY)) is None


def test_parts_of_zcbench_have_versions_in_place_of_content() -> None:
    """By construction: their scores keep their keys."""
    assert {REGISTRY.get(name).content for name in REGISTRY.names()} == {None}
