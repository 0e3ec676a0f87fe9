"""``top:K@RUN`` on the command line; `zcbench.benchmarks.ranking.winners` is imported when it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcbench.benchmarks.ranking.winners import Winners

PREFIX = "top:"


def winners(
    text: str,
    space: str,
    data_dir: Path | None = None,
    *,
    transfer: bool = False,
    prefix: str = "",
    sizes: bool = True,
) -> "Winners":
    """The K best of a ranking, as `zcbench.benchmarks.ranking.winners.winners` describes."""
    from zcbench.benchmarks.ranking.winners import winners as best

    return best(text, space, data_dir, transfer=transfer, prefix=prefix, sizes=sizes)
