"""Registry, plug-ins and random streams."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from zcbench.errors import DuplicateNameError, UnknownNameError
from zcbench.registry import PluginError, Registry, load_file
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
        (["kd:a(knob=1)", "-kd:*"], ["kd:a(knob=1)"]),
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
