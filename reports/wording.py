"""Names and numbers as text, alike in tables, figures and pages."""

import math
import re

MISSING = "–"
MINUS = "−"
HYPHEN = re.compile(r"(?<![\w.])-(?=\.?\d)")
"""A hyphen that stands for a minus sign."""

_DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}


def truth_label(name: str) -> str:
    """Name of a truth, ``SPACE/DATASET[/SPLIT][@EPOCHS]``, as a heading; any other name is left as it is.

    >>> truth_label("nasbench201/cifar10"), truth_label("nasbench201/cifar100/valid@12")
    ('CIFAR-10 test', 'CIFAR-100 valid, 12 epochs')
    """
    path, _, epochs = name.partition("@")
    parts = path.split("/")
    if len(parts) < 2:
        return name
    label = " ".join([_DATASETS.get(parts[1], parts[1]), *(parts[2:] or ["test"])])
    return f"{label}, {epochs} epochs" if epochs else label


def slug(name: str) -> str:
    """Part of a file name: letters, digits and underscores stay, everything else becomes a hyphen.

    >>> slug("nasbench201/cifar10/test@12")
    'nasbench201-cifar10-test-12'
    """
    return re.sub(r"\W+", "-", name).strip("-").lower()


def number(value: float, decimals: int = 3) -> str:
    """Rounded number without the zero before the point; ``–`` where it is undefined.

    >>> number(0.5764), number(-0.0513, 2), number(1.0), number(float("nan"))
    ('.576', '-.05', '1.000', '–')
    """
    if not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def positive(value: float) -> str:
    """Number that is defined from 0 up, such as a reliability; ``–`` below and where it is undefined.

    >>> positive(0.973), positive(-36.97), positive(float("nan"))
    ('.973', '–', '–')
    """
    return number(value) if value >= 0 else MISSING


def interval(value: float, low: float, high: float) -> str:
    """Number with its confidence interval, the bounds rounded to two decimals.

    >>> interval(0.5764, 0.551, 0.598)
    '.576 [.55, .60]'
    """
    if not (math.isfinite(value) and math.isfinite(low) and math.isfinite(high)):
        return number(value)
    return f"{number(value)} [{number(low, 2)}, {number(high, 2)}]"


def percent(value: float) -> str:
    """Share in percent with one decimal; ``–`` where it is undefined.

    >>> percent(0.93), percent(0.9996), percent(1)
    ('93.0', '99.9', '100')
    """
    if not math.isfinite(value):
        return MISSING
    return "100" if value == 1 else f"{math.floor(value * 1000 + 1e-9) / 10:.1f}"


def points(value: float) -> str:
    """Difference of accuracies in percentage points, two decimals; ``–`` where it is undefined."""
    return f"{value:.2f}" if math.isfinite(value) else MISSING


def milliseconds(seconds: float) -> str:
    """Time in milliseconds with three significant digits; ``–`` where it is unknown.

    >>> milliseconds(0.0123), milliseconds(1.5), milliseconds(0.000002)
    ('12.3', '1500', '.002')
    """
    if not math.isfinite(seconds):
        return MISSING
    value = seconds * 1000
    if value < 1:
        return number(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def count(value: float) -> str:
    """Whole number with thousands separated by commas; ``–`` where it is unknown.

    >>> count(15625)
    '15,625'
    """
    return f"{int(value):,}" if math.isfinite(value) else MISSING


def shorten(name: str, limit: int = 26) -> str:
    """Name cut to ``limit`` characters, for axes."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


def typeset(text: str) -> str:
    """Numbers in a text with a true minus sign."""
    return HYPHEN.sub(MINUS, text)
