"""Options with fixed values, and one name for one thing in all commands."""

from collections import defaultdict

import pytest

from zcbench.benchmarks.ranking.ensembles import RULES
from zcbench.benchmarks.ranking.selection import METHODS
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.scoring.options import AUTO, DTYPES, LAYOUTS
from zcbench.benchmarks.training.workers import SETTINGS
from zcbench.cli.help.choices import CHOICES, Choices
from zcbench.distill.training import recipe
from zcbench.distill.training.export import EXPORTS
from zcbench.distill.training.objective import MIXTURES
from zcbench.distill.training.scenarios import SCENARIOS
from zcbench.kdzero.evolution import PRESETS
from zcbench.kdzero.evolution.fitness import NORMALISATIONS
from zcbench.kdzero.evolution.terms import SHARPNESS
from zcbench.reports import FORMATS
from zcbench.spaces.initialisation import _DRAWS

from ..command import fails
from .test_help import COMMANDS

PARAMETERS = {
    name: {parameter.name: parameter for parameter in command.get_params(command.context_class(command))}
    for name, command in COMMANDS.items()
}


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        ("bench", "init", ("default", *_DRAWS)),
        ("bench", "dtype", DTYPES),
        ("search", "layout", (*LAYOUTS, AUTO)),
        ("truth build", "layout", recipe.LAYOUTS),
        ("report", "formats", tuple(FORMATS)),
        ("distill", "optimizer", recipe.OPTIMIZERS),
        ("distill", "schedule", recipe.SCHEDULES),
        ("distill", "augmentation", recipe.AUGMENTATIONS),
        ("truth build", "teacher_augmentation", recipe.AUGMENTATIONS),
        ("distill", "precision", recipe.PRECISIONS),
        ("distill", "scenario", tuple(SCENARIOS)),
        ("distill", "mixture", MIXTURES),
        ("distill", "export", EXPORTS),
        ("truth build", "settings", SETTINGS),
        ("search", "rule", tuple(RULES)),
        ("ensembles select", "given", tuple(SIZES)),
        ("ensembles select", "method", tuple(METHODS)),
        ("evolve-distiller", "sharpness", tuple(SHARPNESS)),
        ("evolve-distiller", "normalisation", tuple(NORMALISATIONS)),
        ("evolve-distiller", "preset", tuple(PRESETS)),
    ],
)
def test_choices_are_those_of_the_packages(command: str, option: str, values: tuple[str, ...]) -> None:
    """Equality with what each package takes."""
    assert set(Choices.of(PARAMETERS[command][option]).values) == set(values)


def test_no_choice_is_left_over() -> None:
    """By construction: each name of the table is an option of some command."""
    assert set(CHOICES) <= {name for parameters in PARAMETERS.values() for name in parameters}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["bench", "--dtype", "float31"],
            "--dtype was given 'float31'. Expected one of float32, float64, bfloat16 and float16.",
        ),
        (
            ["report", "x", "--formats", "svg,gif"],
            "--formats was given 'gif'. Expected one, or several with commas, of png, svg and pdf.",
        ),
        (
            ["distill", "--student", "x", "--layout", "auto"],
            "--layout was given 'auto'. Expected one of contiguous and channels_last.",
        ),
        (
            ["search", "--proxies", "x", "--minimise", "macs,price"],
            "--minimise was given 'price'. Expected one, or several with commas, of params, macs, depth, latency and",
        ),
        (
            ["search", "--proxies", "x", "--rule", "logrank"],
            "--rule was given 'logrank'. Expected one of log_rank, rank_sum and",
        ),
        (
            ["distill", "--student", "x", "--scenario", "tutor"],
            "--scenario was given 'tutor'. Expected one of teacher, self, mutual and",
        ),
        (
            ["distill", "--student", "x", "--export", "tflite"],
            "--export was given 'tflite'. Expected one, or several with commas, of pt,",
        ),
    ],
)
def test_other_values_are_wrong_usage(arguments: list[str], message: str) -> None:
    """By construction: exit code 2, and the values are named."""
    assert message in fails(*arguments, code=2)


def test_defaults_are_among_the_choices() -> None:
    """By construction: of every option of every command."""
    for name, parameters in PARAMETERS.items():
        for parameter in parameters.values():
            assert Choices.of(parameter).refusal(parameter.default) is None, (name, parameter.name)


#: Options that are different things in different commands, each with its own help: what --out and --seed are of.
OWN = {
    *("out", "seed", "seeds", "archs", "proxies", "truth", "dataset", "batch_size", "image_size", "teacher", "student"),
    *("device", "scores", "timeout", "repeats", "threads", "subset", "algorithm", "preset", "evaluations", "step"),
    *("distillers", "weights", "label", "validation", "teacher_seed", "teacher_checkpoint", "space", "plugin", "title"),
    *("layout", "warmup", "run", "runs", "name", "names", "first", "second", "task"),
}


def test_one_help_for_one_option() -> None:
    """By construction: an option that several commands have is named, typed and explained alike in all of them."""
    helps = defaultdict[str, set[tuple[str, ...]]](set)
    for parameters in PARAMETERS.values():
        for parameter in parameters.values():
            helps[parameter.name].add((*parameter.opts, str(parameter.type_descriptor.annotation), str(parameter.help)))
    assert {name for name, told in helps.items() if len(told) > 1} <= OWN


def test_every_option_has_a_help() -> None:
    """By construction: a sentence that begins with a capital and is no bare list of values."""
    for name, parameters in PARAMETERS.items():
        for parameter in parameters.values():
            if parameter.param_type_name == "option":
                assert parameter.help, (name, parameter.name)
                first = parameter.help.split()[0].rstrip(",.:")
                assert first not in Choices.of(parameter).values, (name, parameter.name)
