"""A command of zcbench whose result is kept: the tables of this folder make only what is missing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def once(out: Path, result: str, command: Sequence[str]) -> dict[str, Any]:
    """Content of ``OUT/result``, made by ``zcbench COMMAND --out OUT`` if it is not there.

    The command is kept beside it, so that what other options made is not taken for this.
    """
    kept, own = out / "command.json", list(command)
    if not (out / result).is_file():
        ended = subprocess.run(
            [sys.executable, "-m", "zcbench", *own, "--out", str(out)], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise SystemExit(f"zcbench {' '.join(own)}\n{ended.stderr[-2000:]}")
        kept.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")
    elif kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) != own:
        raise SystemExit(f"{out} was made by other options, see {kept}. Name another folder, or delete this one.")
    content: dict[str, Any] = json.loads((out / result).read_text(encoding="utf-8"))
    return content
