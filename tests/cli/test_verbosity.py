"""``--quiet``, ``--verbose`` and ``--log-file``."""

import re
import warnings
from pathlib import Path

import pytest

from ..command import fails, zcbench_command

BENCH = (
    *("bench", "--archs", 12, "--dataset", "digits(side=16)", "--batch-size", 8, "--seeds", 1, "--workers", 0),
    *("--truth", "nasbench201/cifar10-16/kd", "--subset", "known", "--proxies", "params,synflow", "--draws", 0),
)
PHASES = ("Ranking: 2 proxies against nasbench201/cifar10-16/kd", "Figures and page: ", "Report: ")
DURATION = re.compile(r"^(Names, images and accuracies|Scoring|Ranking|Figures|Page|Figures and page) took \d+\.\d s$")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run, and what it said."""
    folder = tmp_path_factory.mktemp("run")
    return folder, zcbench_command(*BENCH, "--out", folder).stderr


def test_phases_are_lines(run: tuple[Path, str]) -> None:
    """By construction: each phase after the scores has a line, and the seconds are not among them."""
    places = [run[1].index(f"\n{phase}") for phase in PHASES]
    assert places == sorted(places)
    assert " took " not in run[1]


def test_quiet_leaves_the_results(run: tuple[Path, str]) -> None:
    """Oracle: the same command without the option; its error stream is empty, its result the same."""
    shown, quiet = (zcbench_command(*BENCH, "--out", run[0], *option) for option in ((), ("-q",)))
    assert shown.returncode == quiet.returncode == 0
    assert shown.stderr
    assert not quiet.stderr
    assert quiet.stdout == shown.stdout


def test_verbose_tells_durations(run: tuple[Path, str]) -> None:
    """Oracle: the names of the phases of bench."""
    lines = zcbench_command(*BENCH, "--out", run[0], "-v").stderr.splitlines()
    assert [match[1] for line in lines if (match := DURATION.match(line))] == [
        *("Names, images and accuracies", "Scoring", "Ranking"),
        *("Figures", "Page", "Figures and page"),
    ]


@pytest.mark.parametrize("option", ["--quiet", "--verbose"])
def test_log_file_has_all_messages_with_time_stamps(run: tuple[Path, str], tmp_path: Path, option: str) -> None:
    """Oracle: the messages of the command without options; the console does not change what the file has."""
    file = tmp_path / "logs" / "bench.log"
    for _ in range(2):  # it is appended to
        zcbench_command(*BENCH, "--out", run[0], option, "--log-file", file)
    lines = file.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|DEBUG) ", line) for line in lines)
    texts = [line.split(" ", 3)[3] for line in lines]
    assert texts[0].startswith("zcbench bench --archs 12 ")
    assert sum(text == PHASES[0] for text in texts) == 2
    assert sum(bool(DURATION.match(text)) for text in texts) == 12
    assert {line for line in run[1].splitlines() if not re.search(r"\d\.\d s; ", line)} <= set(texts)


def test_errors_are_shown_and_logged(tmp_path: Path) -> None:
    """By construction: an error ends a quiet command with its message, which the file has too, without a traceback."""
    file = tmp_path / "log"
    message = fails("proxies", "show", "nothing", "--quiet", "--log-file", file)
    assert message.startswith("UnknownNameError: ")
    assert "ERROR UnknownNameError: " in file.read_text()
    assert "Traceback" not in file.read_text()


def test_quiet_and_verbose_exclude_each_other() -> None:
    """By construction: wrong usage."""
    assert "Expected one of the two" in fails("proxies", "list", "-q", "-v", code=2)


def test_a_log_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """By construction: the file is a folder."""
    assert "cannot be read or written" in fails("proxies", "list", "--log-file", tmp_path)


def test_warnings_of_python_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: a plug-in that warns; a quiet command does not show it, and the hook is as before afterwards."""
    plugin, file, before = tmp_path / "warns.py", tmp_path / "log", warnings.showwarning
    plugin.write_text("import warnings\n\nwarnings.warn('old data', stacklevel=1)\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        told = zcbench_command("proxies", "list", "-q", "--plugin", plugin, "--log-file", file).stderr
    assert "old data" not in told
    assert "WARNING" in file.read_text()
    assert "old data" in file.read_text()
    assert warnings.showwarning is before
