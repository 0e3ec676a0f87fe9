"""Text and pages from the templates of this package."""

import re
from collections.abc import Callable, Mapping
from numbers import Real

from jinja2 import Environment, PackageLoader, StrictUndefined

from zcbench import __version__
from zcbench.reports.charts import NOTICE, as_json, library


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


def page(
    template: str,
    content: Mapping[str, object],
    charts: Mapping[str, object],
    filters: Mapping[str, Callable[..., object]],
) -> str:
    """A page as HTML, with the library of its charts.

    Args:
        template: extends ``base.html.j2``.
        content: values by name; texts are escaped.
        charts: what the scripts of the page read; ``charts`` in it has a specification for each place of a chart.
        filters: functions by name, besides those of the protocol.
    """
    own = {"version": __version__, "notice": NOTICE, "library": library(), "content_json": as_json(charts)}
    known: dict[str, Callable[..., object]] = {"fact": _fact, "fields": _fields}
    return rendered(template, {**content, **own}, known | dict(filters), {"table": _is_table, "line": _is_line})


def _is_table(value: object) -> bool:
    """Whether a part of the protocol is a mapping of mappings, to be shown as a table."""
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(part, Mapping) for part in value.values())


def _is_line(value: object) -> bool:
    """Whether a part of the protocol is a mapping of numbers, to be shown on one line."""
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(part, Real) for part in value.values())


def _fields(table: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Columns of a table of the protocol: every key of its parts, in the order of their first use."""
    return list(dict.fromkeys(key for part in table.values() for key in part))


_CHECKSUM = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


def _fact(value: object) -> str:
    """One value of the protocol as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        words = [_fact(part) for part in value[:12]]
        return ", ".join(words) + (f", … ({len(value)} in all)" if len(value) > 12 else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(part)}" for key, part in value.items())
    return _CHECKSUM.sub(r"\1…", str(value))
