"""Strings of NAS-Bench-201: their order, and what is none."""

import csv
import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcbench.errors import ArchitectureError, ZcbenchError
from zcbench.spaces import NASBench201
from zcbench.spaces.nasbench201 import cell

operation_tuples = st.tuples(*[st.sampled_from(cell.OPERATIONS)] * 6)


def test_order_of_three_cells(space: NASBench201) -> None:
    """Published: the three cells that the authors' generator asserts at 0, 9 and 123."""
    assert space[0] == "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    assert space[9] == "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    assert space[123] == "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"


@pytest.mark.data
def test_order_of_all_cells(space: NASBench201, data_dir: Path) -> None:
    """Published: the 15,625 strings of a table in official order."""
    with (data_dir / "sources/nats-bench-landscape/nats_bench.csv").open(newline="") as file:
        assert list(space) == [row["ArchitectureString"] for row in csv.DictReader(file)]


def test_order_has_the_pinned_digest(space: NASBench201) -> None:
    """Published: sha256 of the official order; it also holds where the table is not at hand."""
    digest = hashlib.sha256("\n".join(space).encode()).hexdigest()
    assert digest == "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"


def test_a_python_that_shuffles_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariance: a wrong order is an error, never a table of other architectures."""
    monkeypatch.setattr(random, "Random", lambda seed: random.SystemRandom(seed))
    with pytest.raises(ZcbenchError, match="official order"):
        cell.official_order.__wrapped__()


@settings(deadline=None)
@given(operation_tuples)
def test_parse_undoes_write(operations: cell.Operations) -> None:
    """Invariance: parse and write are each other's inverse."""
    assert cell.parse(cell.write(operations)) == operations


@settings(deadline=None)
@given(st.text(alphabet="|~+012nonep_skip_connect", max_size=60))
def test_other_text_is_refused(text: str) -> None:
    """Invariance: whatever is not in the list of strings is an ArchitectureError with a reason."""
    if text not in cell.official_order():
        with pytest.raises(ArchitectureError, match="Expected"):
            cell.parse(text)


@settings(deadline=None)
@given(operation_tuples, st.data())
def test_one_character_more_or_less_is_refused(operations: cell.Operations, data: st.DataObject) -> None:
    """Invariance: no string of the space is within one inserted or deleted character of another."""
    arch = cell.write(operations)
    at = data.draw(st.integers(0, len(arch) - 1))
    for damaged in (arch[:at] + arch[at + 1 :], arch[:at] + data.draw(st.characters()) + arch[at:]):
        with pytest.raises(ArchitectureError, match=r"is no NAS-Bench-201 cell: .*Expected"):
            cell.parse(damaged)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (
            "|nor_conv_3x3~0|+|nor_conv_5x5~0|none~1|+|none~0|none~1|none~2|",
            "edge 0→2 names the operation 'nor_conv_5x5'. Expected one of none, skip_connect, nor_conv_1x1, "
            "nor_conv_3x3, avg_pool_3x3. Did you mean 'nor_conv_3x3'?",
        ),
        ("|none~0|+|none~0|none~1|", "it has 2 nodes. Expected 3"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "node 3 has 2 edges. Expected 3"),
        ("|none~0|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 has 2 edges. Expected 1"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "edge 1→2 names the source '0'. Expected '1'"),
        (
            "|none~0|+|none|none~1|+|none~0|none~1|none~2|",
            "edge 0→2 reads 'none'. Expected an operation and its source",
        ),
        ("none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 reads 'none~0|'. Expected it to begin"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\n", "node 3 reads '|none~0|none~1|none~2|\\n'. Expected it"),
        ("", "it has 1 nodes. Expected 3"),
        (42, "Given: 42, which is of the type int. Expected: the string of a NAS-Bench-201 cell"),
        (None, "which is of the type NoneType"),
    ],
)
def test_errors_name_the_place(arch: object, message: str) -> None:
    """Closed form: the message for each kind of damage."""
    with pytest.raises(ArchitectureError) as error:
        cell.parse(arch)
    assert message in str(error.value)


def test_a_very_long_string_is_shortened_in_the_message() -> None:
    """Invariance: the message stays readable whatever was given."""
    with pytest.raises(ArchitectureError) as error:
        cell.parse("x" * 100_000)
    assert len(str(error.value)) < 600
