"""Cards of packed scores: what a file holds, and what a card must have."""

from collections.abc import Callable
from pathlib import Path

from zcbench.lazy import load
from zcbench.storage.parquet import CardedParquet
from zcbench.storage.run_folder import Json

PARQUET = CardedParquet(
    b"zcbench scores",
    "scores",
    "Expected a file that 'zcbench scores pack' wrote; check the path, or pack the runs again.",
)


def _entry(value: object) -> bool:
    """Whether a value is what a card says of one proxy."""
    if not isinstance(value, dict) or not isinstance(value.get("proxy"), str) or type(value.get("version")) is not int:
        return False
    maps = isinstance(value.get("attempts"), dict) and isinstance(value.get("statuses"), dict)
    return maps and isinstance(value.get("seconds"), int | float)


#: What a card must have, and of which form.
_CARD: dict[str, Callable[[object], bool]] = {
    "protocol": lambda value: isinstance(value, dict),
    "requests": lambda value: isinstance(value, list) and all(isinstance(request, dict) for request in value),
    "architectures": lambda value: type(value) is int,
    "scores": lambda value: type(value) is int,
    "proxies": lambda value: isinstance(value, list) and all(map(_entry, value)),
    "sha256": lambda value: isinstance(value, str),
}
#: What it may have.
_OPTIONAL: dict[str, Callable[[object], bool]] = {
    "networks": lambda value: isinstance(value, dict) and bool(load("zcbench.spaces.networks:are_cards")(value))
}


def card(file: str | Path) -> Json:
    """The card inside a packed file, see `describe`; no score is read.

    Raises:
        DataError: the file is missing, damaged, of another version, or holds no scores.
    """
    return check(Path(file), PARQUET.card(Path(file)))


def check(path: Path, about: Json) -> Json:
    """``about`` itself, once it has what a card must have.

    Raises:
        DataError: an entry is missing or of another form.
    """
    checked = _CARD | {key: fits for key, fits in _OPTIONAL.items() if key in about}
    if odd := sorted(key for key, fits in checked.items() if not fits(about.get(key))):
        raise PARQUET.unreadable(path, f"its card is damaged in {', '.join(odd)}")
    return about
