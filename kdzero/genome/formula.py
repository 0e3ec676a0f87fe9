"""Genomes as text: ``10 4^2 focal l2(no(relu(norm_HW(features/4))))``.

Written as equation 1 of the paper: factor, squared temperature, calibration, and the distance of the input after three
transforms, the first one innermost. Factors of 1 and the calibration none are omitted. The text has no comma, quote or
star, so that it can be part of a specification and of a list of names.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from zcbench.errors import nearest
from zcbench.kdzero.genome.errors import GenomeError
from zcbench.kdzero.genome.tables import CALIBRATIONS, DISTANCES, INPUTS, TEMPERATURES, TRANSFORMS, WEIGHTS

EXAMPLE = "10 4^2 focal l2(no(relu(norm_HW(features/4))))"

_NAME = r"[^\s()/]+"
_FORM = re.compile(
    rf"\s*(?P<factors>(?:{_NAME}\s+)*?)(?P<nest>(?:{_NAME}\s*\(\s*)+)"
    rf"(?P<input>{_NAME})\s*(?:/\s*(?P<divisor>{_NAME})\s*)?(?P<close>(?:\)\s*)+)"
)


class Parts(NamedTuple):
    """The parts of a formula, in the order of a genome's arguments."""

    input: str
    transforms: tuple[str, ...]
    distance: str
    weight: float
    temperature: float
    calibration: str


def number(value: float) -> str:
    """A factor or temperature as written in a formula."""
    return f"{value:g}"


def write_formula(parts: Parts) -> str:
    """The formula of the parts."""
    factors = [] if parts.weight == 1 else [number(parts.weight)]
    factors += [] if parts.temperature == 1 else [f"{number(parts.temperature)}^2"]
    factors += [] if parts.calibration == "none" else [parts.calibration]
    inner = parts.input if parts.temperature == 1 else f"{parts.input}/{number(parts.temperature)}"
    for name in (*parts.transforms, parts.distance):
        inner = f"{name}({inner})"
    return " ".join([*factors, inner])


def read_formula(text: str) -> Parts:
    """The parts of a formula; spaces are ignored.

    Raises:
        GenomeError: the text has another form, or an operation is not known; the message has the place and the nearest.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise GenomeError(f"{text!r} is no formula of a genome. Expected a form like {EXAMPLE!r}.")
    nest = re.findall(_NAME, match["nest"])
    if len(nest) != 4 or match["close"].count(")") != 4:
        raise GenomeError(
            f"{text!r} has {len(nest)} operations around {match['input']!r} and {match['close'].count(')')} closing "
            f"parentheses. Expected 4 of each, a distance and three transforms ('no' does nothing): {EXAMPLE!r}."
        )
    distance, *outward = nest
    _known(text, "distance", distance, DISTANCES)
    for name in outward:
        _known(text, "transform", name, TRANSFORMS)
    _known(text, "input", match["input"], INPUTS)
    weight, temperature, calibration = _factors(text, match["factors"].split())
    divisor = "1" if match["divisor"] is None else match["divisor"]
    if divisor != number(temperature):
        raise GenomeError(
            f"{text!r} divides the input by {divisor} and has the factor {number(temperature)}^2. Expected the square "
            f"of one temperature, as in {EXAMPLE!r}."
        )
    return Parts(match["input"], tuple(reversed(outward)), distance, weight, temperature, calibration)


def _factors(text: str, words: list[str]) -> tuple[float, float, str]:
    rest = list(words)
    weight = _value(text, "weight", rest.pop(0), WEIGHTS) if rest and _is_number(rest[0]) else 1.0
    squared = rest.pop(0).removesuffix("^2") if rest and rest[0].endswith("^2") else "1"
    temperature = _value(text, "temperature", squared, TEMPERATURES)
    calibration = rest.pop(0) if rest else "none"
    _known(text, "calibration", calibration, CALIBRATIONS)
    if rest:
        _fail(text, rest[0], "one factor too many", f"Expected weight, temperature and calibration, as in {EXAMPLE!r}.")
    return weight, temperature, calibration


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _value(text: str, kind: str, word: str, known: tuple[float, ...]) -> float:
    if not _is_number(word) or float(word) not in known:
        _fail(text, word, f"no {kind} of a genome", f"Expected one of {', '.join(map(number, known))}.")
    return float(word)


def _known(text: str, kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        _fail(text, name, f"no known {kind}", nearest(name, names))


def _fail(text: str, word: str, what: str, instead: str) -> NoReturn:
    raise GenomeError(f"{word!r} at character {text.find(word) + 1} of {text!r} is {what}. {instead}")
