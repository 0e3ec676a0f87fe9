"""The command line as a shell calls it, within this process."""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from typer.testing import CliRunner

from zcbench.cli import app, main


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def zcbench_command(*arguments: object, **environment: str) -> Result:
    """Call what the console script calls, and catch what it prints and how it exits."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["zcbench", *map(str, arguments)]
    settings = {**os.environ, "COLUMNS": "200", **environment}
    with patch.object(sys, "argv", argv), patch.dict(os.environ, settings), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def fails(*arguments: object, code: int = 1, **environment: str) -> str:
    """Run what must fail without a traceback, and return its message on one line."""
    result = zcbench_command(*arguments, **environment)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def distilled(*words: object) -> str:
    """Output of ``zcbench distill WORDS``; its errors are raised."""
    result = CliRunner().invoke(app, ["distill", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output
