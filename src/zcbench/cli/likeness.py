"""Options of an earlier run by the names that they have on the command line: ``zcbench bench --like RUN``."""

from collections.abc import Mapping

_NAMES: Mapping[str, Mapping[str, str]] = {"sample": {"seed": "archs_seed"}, "ranking": {"k": "top_k"}}
_NO_OPTIONS = {"ranking": ("seed", "unit")}


def like(run: str) -> Mapping[str, object]:
    """Options of a run of ``zcbench bench``, as `zcbench.workflows.runs.given_options` has them.

    Raises:
        DataError: the folder has none.
    """
    from zcbench import references
    from zcbench.workflows.runs import given_options

    found: dict[str, object] = {}
    for name, value in given_options(run).items():
        if isinstance(value, Mapping):
            names, none = _NAMES.get(name) or {}, _NO_OPTIONS.get(name, ())
            found |= {names.get(key, key): item for key, item in value.items() if key not in none}
        else:
            found["plugin" if name == "plugins" else name] = value or None
    if isinstance(space := found.get("space"), str) and references.read(space):
        found["networks"] = found.pop("space")
    return {name: "none" if value == [] else value for name, value in found.items()}
