"""A distillation loss that ends its process once, in the middle of a training, and counts its steps in a file."""

from pathlib import Path

MORTAL = """
import os, signal
from pathlib import Path
from zcbench.distill import distiller

STEPS, DEAD = Path({steps!r}), Path({dead!r})

@distiller("mortal", reads="logits", source="a test")
def mortal(student, teacher):
    with STEPS.open("a") as log:
        log.write("x")
    if STEPS.stat().st_size == {after} and not DEAD.exists():
        DEAD.touch()
        os.kill(os.{whose}(), signal.SIGKILL)
        signal.pause()
    return (student.logits - teacher.logits).square().mean()
"""


def mortal(folder: Path, after: int, whose: str = "getpid") -> Path:
    """A plug-in whose loss ends its process, or with ``getppid`` the Dask worker that this belongs to."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mortal_loss.py"
    file.write_text(MORTAL.format(steps=str(folder / "steps"), dead=str(folder / "dead"), after=after, whose=whose))
    return file


def steps(file: Path) -> int:
    """How many steps were made."""
    return len(file.with_name("steps").read_text())
