"""Options with fixed values: the help shows them, the shell completes them, and others are refused.

The values are the text after the name of an option, ``a|b``. Values of an option that is a list end with ``,…``; a word
in upper case, or ``…`` alone, stands for other values, which are then not refused.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from zcbench.errors import shortened

_LIST = ",…"
#: Values by the name of the parameter, for options that do not name their own.
CHOICES: Mapping[str, str] = {
    "init": "default|kaiming|xavier|normal",
    "dtype": "float32|float64|bfloat16|float16",
    "layout": "contiguous|channels_last|auto",
    "device": "cpu|cuda|cuda:N",
    "formats": "png|svg|pdf,…",
    "dataset": "cifar10|cifar100|digits|…",
    "subset": "all|live|unique|…",
    "loss": "cross_entropy|binary_cross_entropy|mse|FILE.py:FUNCTION",
    "supervised": "ridge|boosting|none,…",
    "by": "tau|tau_given_all|tau_given_all_flexible|tau_top10",
    "given": "params|macs|n_convs|depth|width",
    "method": "beam|libra",
    "tracker": "tensorboard|wandb|mlflow|…",
    "optimizer": "sgd|adamw",
    "schedule": "one_cycle|cosine|step|constant",
    "augmentation": "none|crop_flip",
    "teacher_augmentation": "none|crop_flip",
    "teacher_outputs": "memory|float32|float16",
    "precision": "float32|bfloat16|float16",
    "class_weights": "none|balanced|NUMBERS",
    "select": "last|accuracy|loss|METRIC",
    "scenario": "teacher|self|mutual|assistant",
    "mixture": "average|adaptive|gradient",
    "frame": "none|ensemble|l2t|n_to_one|review|FRAME(…)",
    "export": "pt|pt2|onnx,…",
    "settings": "vanilla|kd,…",
    "way": "stratified|uniform",
    "rule": "log_rank|rank_sum|stochastic_order",
    "minimise": "params|macs|depth|latency|energy,…",
    "fitness": "ce|sharpness|cka,…",
    "sharpness": "exact|absolute|second_order",
    "normalisation": "robust|rank|none",
}


class Choices(NamedTuple):
    """Values of one option.

    Attributes:
        values: by name.
        several: whether the option is a list of them, with commas.
        others: whether it takes other values too.
    """

    values: tuple[str, ...] = ()
    several: bool = False
    others: bool = True

    @classmethod
    def of(cls, parameter: Any) -> "Choices":
        """Those that the text after the name of an option says.

        >>> from types import SimpleNamespace
        >>> Choices.of(SimpleNamespace(metavar="cpu|cuda|cuda:N"))
        Choices(values=('cpu', 'cuda'), several=False, others=True)
        """
        told = parameter.metavar or ""
        if "|" not in told:
            return cls()
        words = told.removesuffix(_LIST).split("|")
        values = tuple(word for word in words if word == word.lower() and word != "…")
        return cls(values, told.endswith(_LIST), len(values) < len(words))

    def refusal(self, given: object) -> str | None:
        """Why a value is refused, if it is."""
        if self.others or not isinstance(given, str):
            return None
        words = list(filter(None, map(str.strip, given.split(",")))) if self.several else [given]
        wrong = next((word for word in words if word not in self.values), None)
        if wrong is None:
            return None
        *first, last = self.values
        many = "one, or several with commas," if self.several else "one"
        return f"{shortened(wrong)!r}. Expected {many} of {', '.join(first)} and {last}."


def show(parameter: Any) -> None:
    """Give an option the text after its name."""
    if parameter.param_type_name == "option" and not parameter.metavar:
        parameter.metavar = CHOICES.get(parameter.name)
