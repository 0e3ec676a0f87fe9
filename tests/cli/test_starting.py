"""What the command line imports before it answers. The oracle is the list of loaded modules in a process of its own."""

import subprocess
import sys

import pytest

COMMANDS = (
    *("bench", "rank", "report", "resample", "distill", "evolve-distiller"),
    *("proxies check", "data fetch", "truth build", "scores pack", "ensembles select"),
)
PROGRAM = """
import sys
from zcbench.cli import app
for line in sys.argv[1:]:
    try:
        app(line.split(), prog_name="zcbench")
    except SystemExit as end:
        assert not end.code, line
loaded = [name for name in ("torch", "pandas", "scipy", "sklearn", "matplotlib", "pooch") if name in sys.modules]
print(loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "lines",
    [[f"{command} --help" for command in COMMANDS], ["proxies list"], ["data list"], ["scores list"]],
    ids=["help", "proxies", "data", "scores"],
)
def test_lists_and_help_import_nothing_large(lines: list[str]) -> None:
    """Oracle: neither PyTorch nor pandas, SciPy, scikit-learn, Matplotlib or pooch is loaded."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *lines], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(done.stdout) > 300
