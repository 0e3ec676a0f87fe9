"""Groups of options in the help of every command, by the name of the option: one name is in one group everywhere.

An option that no group has is a basic one; basic options come first.
"""

from collections.abc import Iterable, Mapping
from typing import Any

BASIC = "Options"

_PANELS: Mapping[str, tuple[str, ...]] = {
    "Networks and images": (
        *("output", "loss", "init", "dtype", "layout", "device", "batch_size", "batch_seed", "image_size", "inits"),
        *(
            "classes",
            "teacher_checkpoint",
            "teacher_seed",
            "teacher_epochs",
            "teacher_augmentation",
            "teacher_outputs",
            "archs_seed",
        ),
        *("data_dir", "label", "catalogue"),
    ),
    "Training": (
        *("optimizer", "lr", "momentum", "nesterov", "weight_decay", "schedule", "warmup", "milestones", "gamma"),
        *("label_smoothing", "augmentation", "padding", "precision", "accumulation", "clip", "ema", "class_weights"),
        *("auxiliary", "validation", "select", "mixture", "generations", "evaluate_every", "metrics"),
    ),
    "Search": (
        *("rule", "reference", "preset", "step", "population", "tournament", "crossover", "repeats", "transfer"),
        *("sizes", "baselines", "fitness", "sharpness", "normalisation", "prescreen", "known", "known_archs"),
        *("rejection", "shrinkage", "early_stop", "share"),
    ),
    "Limits and costs": (
        *("max_params", "max_macs", "max_depth", "max_latency", "max_energy", "minimise"),
        *("latency", "latency_device"),
    ),
    "Ranking": (
        *("ensembles", "beside", "batches", "draws", "confidence", "top_k", "failures_last"),
        *("supervised", "supervised_train"),
    ),
    "Execution": (
        *("workers", "timeout", "plugin", "retry_failed", "cluster", "shard", "threads", "checkpoint_every"),
        *("config", "like"),
    ),
    "Output": (
        *("report", "drawn", "against", "formats", "title", "export", "tracker", "json", "csv"),
        *("quiet", "verbose", "log_file"),
    ),
}
_PANEL = {name: panel for panel, names in _PANELS.items() for name in names}


def grouped(parameters: Iterable[Any]) -> dict[str, list[Any]]:
    """Parameters of a command by the heading of their group: arguments, basic options, then `_PANELS` in order.

    A group that is named where the option is defined comes before the name of the option; ``--help`` is in no group.
    """
    found: dict[str, list[Any]] = {"Arguments": [], BASIC: [], **{panel: [] for panel in _PANELS}}
    for parameter in parameters:
        found.setdefault(panel(parameter), []).append(parameter)
    return {name: members for name, members in found.items() if members}


def panel(parameter: Any) -> str:
    """Heading of the group of one parameter."""
    if parameter.param_type_name == "argument":
        return "Arguments"
    if parameter.required:
        return BASIC
    own: str | None = getattr(parameter, "rich_help_panel", None)
    return own or _PANEL.get(parameter.name, BASIC)
