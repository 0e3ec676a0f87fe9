"""Numbers and names in words."""

import doctest
import math

import pytest

from zcbench.reports import markup, wording


@pytest.mark.parametrize("module", [wording, markup])
def test_examples_run(module):
    """Hand-worked: the examples of the docstrings."""
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9996, "1.000"),
        (-0.9996, "-1.000"),
        (-0.0001, ".000"),
        (0.0, ".000"),
        (-0.5, "-.500"),
        (math.inf, "–"),
        (10.05, "10.050"),
    ],
)
def test_numbers_lose_only_the_zero_before_the_point(value, text):
    """Hand-worked roundings, among them those that cross one and zero."""
    assert wording.number(value) == text


def test_interval_without_bounds_is_the_number():
    """Hand-worked: an undefined bound leaves the number, an undefined number leaves a dash."""
    assert wording.interval(0.5, math.nan, 0.6) == ".500"
    assert wording.interval(math.nan, 0.1, 0.2) == "–"


def test_coverage_just_below_one_is_not_rounded_to_it():
    """Honesty: 14,999 of 15,000 is not 100 %."""
    assert wording.percent(14_999 / 15_000) == "99.9"


def test_names_that_are_no_truth_path_stay():
    """Invariance: a name of another shape is its own label."""
    assert wording.truth_label("my table") == "my table"
    assert wording.truth_label("s0/cifar100/kd") == "CIFAR-100 kd"
