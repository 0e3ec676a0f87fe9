"""Completion in the shell: the program that a shell calls, and the words that it answers with."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from zcbench.cli import app
try:
    app(prog_name="zcbench")
finally:
    print([name for name in ("torch", "pandas") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("zcbench bench --proxies params,synf", "params,synflow"),
        ("zcbench bench --space nasbench2", "nasbench201"),
        ("zcbench rank x --truth nasbench201/cifar10-16/test/k", "nasbench201/cifar10-16/test/kd@5"),
        ("zcbench bench --init kai", "kaiming"),
        ("zcbench proxies show naswo", "naswot"),
    ],
)
def test_the_shell_completes_names(words: str, expected: str) -> None:
    """By construction: the answer to bash has the name, and neither PyTorch nor pandas was loaded."""
    asked = {"_ZCBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={**os.environ, **asked})
    assert expected in done.stdout.split(), done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
