"""Text from the templates of this package."""

from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined


def rendered(
    template: str,
    content: Mapping[str, object],
    filters: Mapping[str, Callable[..., object]],
    tests: Mapping[str, Callable[..., bool]] | None = None,
) -> str:
    """Rendered template; texts are escaped in HTML templates, and an unknown name is an error.

    Args:
        template: file name; ``.html`` in it marks an HTML template.
        content: values by name.
        filters: functions by name.
        tests: predicates by name.
    """
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
