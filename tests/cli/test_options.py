"""Options made from dataclasses: each field once, with the name, default and help that Python has."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import zcbench
from zcbench.cli.options import Record, attributes, options
from zcbench.cli.strict import strict
from zcbench.distill import Recipe


@dataclass(frozen=True)
class Base:
    """What is inherited.

    Attributes:
        width: ``small`` or `large`.
    """

    width: str = "small"


@dataclass(frozen=True)
class Many(Base):
    """One field of each kind.

    Attributes:
        steps: how many steps, over
            two lines.
        rate: their rate.
        names: names, separated by commas.
        shares: numbers, likewise.
        files: files.
        source: a text or a number.
        weights: weights by name.
        extra: anything at all.
    """

    steps: int = 3
    rate: float | None = None
    names: tuple[str, ...] = ("a", "b")
    shares: tuple[float, ...] | None = None
    files: tuple[str | Path, ...] = ()
    source: str | int | list[str] | None = None
    weights: dict[str, float] | None = None
    extra: object = field(default_factory=object)


SEEN: list[object] = []


def read(text: str) -> dict[str, float]:
    name, _, number = text.partition("=")
    return {name: float(number)}


def application(**changes: object) -> typer.Typer:
    """An app with one command of one record, beside another command."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    given = {"options": {"weights": typer.Option(parser=read), "steps": typer.Option("--count", min=1)}}
    record = Record(f"{__name__}:Many", **{"omit": ("extra",), **given, **changes})
    options_of = options(many=record)

    @app.command()
    @options_of
    def work(*, out: Path = Path("here"), many: Many) -> None:
        """Do the work."""
        SEEN.append((out, many))

    @app.command()
    def rest() -> None:
        """Do the rest."""

    return strict(app)


def call(*words: str, **changes: object) -> object:
    SEEN.clear()
    done = CliRunner().invoke(application(**changes), ["work", *words])
    assert done.exit_code == 0, done.output
    return SEEN.pop()


def test_without_options_the_record_is_that_of_python():
    """Invariance: every default of the command is that of the class."""
    out, many = call()
    assert out == Path("here") and [getattr(many, f.name) for f in fields(many) if f.name != "extra"] == [
        getattr(Many(), f.name) for f in fields(Many) if f.name != "extra"
    ]


def test_each_kind_of_field_is_read():
    """Closed form: a number, lists with commas, repeated files, a text in place of a union, a parser."""
    words = ["--count", "7", "--rate", ".5", "--names", "x,y(z=1,w=2)", "--shares", "0.5,1", "--source", "12"]
    _, many = call(*words, "--files", "a.py", "--files", "b.py", "--weights", "ce=.1", "--width", "large")
    assert (many.steps, many.rate, many.names, many.shares) == (7, 0.5, ("x", "y(z=1,w=2)"), (0.5, 1.0))
    assert (many.files, many.source, many.weights) == ((Path("a.py"), Path("b.py")), "12", {"ce": 0.1})
    assert many.width == "large" and call("--names", "none")[1].names == ()


def test_a_command_may_have_other_defaults_and_names():
    """By construction: one field under another name, with another default."""
    _, many = call("--label", "z", defaults={"rate": 2.0}, names={"source": "label"})
    assert (many.rate, many.source) == (2.0, "z")


def test_help_is_the_docstring():
    """Closed form: sentences of the classes without marks, own fields before inherited ones; wrong values are usage."""
    text = " ".join(CliRunner().invoke(application(), ["work", "--help"]).output.replace("\\[", "[").split())
    assert "How many steps, over two lines. [default: 3; x>=1]" in text and "small or large. [default: small]" in text
    assert "default: a,b" in text and text.index("--source") < text.index("--width") and "--extra" not in text
    assert attributes(Many)["width"] == "small or large." and attributes(Many)["rate"] == "Their rate."
    assert CliRunner().invoke(application(), ["work", "--count", "0"]).exit_code == 2
    assert "Do the work." in CliRunner().invoke(application(), ["--help"]).output


def test_a_field_of_which_no_option_can_be_made():
    """Bad input: named, with its type."""
    done = CliRunner().invoke(application(omit=()), ["work"])
    assert isinstance(done.exception, TypeError) and "Many.extra is of the type <class 'object'>" in str(done.exception)


@pytest.mark.parametrize("kind", [Recipe, zcbench.Sample, zcbench.Setup, zcbench.Execution, zcbench.ReportOptions])
def test_every_option_has_a_help(kind):
    """By construction: each field of the records is told of in their docstrings."""
    assert {item.name for item in fields(kind)} <= attributes(kind).keys()
