"""Text from a template of this folder."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def rendered(
    template: str,
    content: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    tests: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """The template filled in; every text is escaped where the template is of HTML, and an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("zcbench.reports"),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= dict(filters)
    environment.tests |= dict(tests or {})
    return environment.get_template(template).render(**content)
