"""Charts that answer to the reader of a page: Vega-Lite specifications, and the library that draws them.

The library is taken from the package vl-convert-python and embedded once in a page, so that the page loads nothing.
Colours are the variables of ``page.css``, which follow the reader's light or dark mode.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import platformdirs

from zcbench.storage.files import replaced

Spec = dict[str, object]
"""A Vega-Lite specification."""

NOTICE = (
    "Vega, Vega-Lite and Vega-Embed, copyright University of Washington Interactive Data Lab and contributors, "
    "BSD-3-Clause licence."
)
_KINDS = ("proxy", "baseline", "ensemble", "supervised")
_SOFT = "var(--soft)"
_FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"  # as in page.css; widths of texts are measured with it
_CONFIG: Spec = {
    "background": None,
    "font": _FONT,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": _SOFT,
        "domainColor": _SOFT,
        "tickColor": _SOFT,
        "gridColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": "var(--ink)", "titleColor": _SOFT, "orient": "bottom", "labelFontSize": 12, "columns": 3},
    "text": {"color": "var(--ink)", "fontSize": 11},
    "rule": {"color": "var(--ink)"},
}


def as_json(value: object) -> str:
    """JSON for a script element: no ``<``, and so neither its end nor a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; it is bundled once for a version, and kept in the user's cache."""
    import vl_convert

    name = f"vega-{vl_convert.get_vega_version()}-{version('vl-convert-python')}.js"
    kept = Path(platformdirs.user_cache_dir("zcbench")) / name
    if kept.is_file():
        return kept.read_text("utf-8")
    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    _keep(kept, script)
    return script


def _keep(path: Path, script: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as draft:
            draft.write_text(script, encoding="utf-8")
    except OSError:  # a cache that cannot be written costs seconds
        return


def chart(**parts: object) -> Spec:
    """A chart as wide as its place on the page, in the style of the reports."""
    return {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}, "config": _CONFIG, **parts}


def correlation_bars(title: str) -> Spec:
    """Bars of a correlation with their intervals and a dashed line at the best size; the page fills in the rows.

    Rows have ``name``, ``kind``, ``value``, ``low`` and ``high``; the data set ``line`` has the ``value`` of the size.
    """
    y = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 170, "ticks": False}}
    ends = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    return chart(
        height=19,
        datasets={"rows": [], "line": []},
        layer=[
            {
                "data": {"name": "rows"},
                "mark": {"type": "bar", "height": {"band": 0.72}},
                "encoding": {
                    "y": y,
                    "x": {"field": "value", "type": "quantitative", "title": title, "axis": {"tickCount": 6}},
                    "color": kind_colour(),
                    "tooltip": _tooltip(("names", "name"), ("kind", "kind"), ("text", title)),
                },
            },
            {"data": {"name": "rows"}, "mark": {"type": "rule", "strokeWidth": 1.4}, "encoding": {"y": y, **ends}},
            {
                "data": {"name": "line"},
                "mark": {"type": "rule", "strokeDash": [5, 4], "color": "var(--baseline)"},
                "encoding": {"x": {"field": "value", "type": "quantitative"}},
            },
        ],
    )


def architecture_scatter() -> Spec:
    """Score against accuracy, a point for each architecture; the page fills in the rows and the titles.

    A rectangle selects architectures, ``picked`` has their numbers in this chart and in the others.
    """
    chosen = "length(picked) == 0 || indexof(picked, datum.i) >= 0"
    return chart(
        height=300,
        datasets={"rows": []},
        params=[{"name": "picked", "value": []}],
        layer=[
            {
                "data": {"name": "rows"},
                "params": [{"name": "brush", "select": {"type": "interval", "encodings": ["x", "y"]}}],
                "mark": {"type": "point", "filled": True, "size": 28},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": _FEW},
                    "y": {"field": "y", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": _FEW},
                    "color": {
                        "field": "c",
                        "type": "quantitative",
                        "scale": {"range": ["#3b6fd4", "#1f9e89", "#d9a300"]},
                        "legend": {"format": "~s", "gradientLength": 200},
                    },
                    "opacity": {"condition": {"test": chosen, "value": 0.85}, "value": 0.07},
                    "tooltip": _tooltip(("arch", "architecture"), ("score", "score"), ("accuracy", "accuracy, %")),
                },
            }
        ],
    )


def proxy_map() -> Spec:
    """Two statistics of the proxies, a point for each; the page fills in the rows and the titles."""
    axis = {"type": "quantitative", "scale": {"zero": False}, "axis": {"tickCount": 8}}
    return chart(
        height=340,
        datasets={"rows": []},
        layer=[
            {
                "data": {"name": "rows"},
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.9},
                "encoding": {
                    "x": {"field": "x", **axis},
                    "y": {"field": "y", **axis},
                    "color": kind_colour(),
                    "shape": {"field": "kind", "type": "nominal", "scale": {"domain": _KINDS, "range": _SHAPES}},
                    "tooltip": _tooltip(("names", "name"), ("kind", "kind"), ("x", "across"), ("y", "up")),
                },
            },
            {
                "data": {"name": "rows"},
                "mark": {"type": "text", "align": "left", "dx": 7, "dy": -4},
                "encoding": {"x": {"field": "x", **axis}, "y": {"field": "y", **axis}, "text": {"field": "label"}},
            },
        ],
    )


_FAR = 100.0
_FEW = {"tickCount": 6}
_SHAPES = ("circle", "square", "triangle-up", "diamond")


def points(rows: Sequence[Mapping[str, object]], x: str, y: str, kinds: Mapping[str, str]) -> Spec:
    """Points of some kinds with a text each: rows have ``x``, ``y``, ``kind`` and ``text``.

    Args:
        rows: the points; the later ones are drawn above the earlier ones.
        x: title of the horizontal axis, which is logarithmic where one value is over a hundred times another one.
        y: title of the vertical axis.
        kinds: colour of each kind.
    """
    axis = {"type": "quantitative", "scale": {"zero": False}}
    across = [float(str(row["x"])) for row in rows]
    far = bool(across) and min(across) > 0 and max(across) > _FAR * min(across)
    scale: Spec = {"scale": {"type": "log"}, "axis": {"tickCount": 5}} if far else {}
    colours = {"domain": list(kinds), "range": list(kinds.values())}
    return chart(
        height=340,
        data={"values": list(rows)},
        mark={"type": "point", "filled": True, "size": 60, "opacity": 0.8},
        encoding={
            "x": {"field": "x", "title": x, **axis, **scale},
            "y": {"field": "y", "title": y, **axis},
            "color": {"field": "kind", "type": "nominal", "title": None, "scale": colours},
            "tooltip": _tooltip(("text", "architecture"), ("x", x), ("y", y)),
        },
    )


def differences(rows: Sequence[Mapping[str, object]], x: str) -> Spec:
    """Points on one line for each name, with a line at 0: rows have ``name``, ``x``, ``text`` and ``group``.

    Groups have six colours, and from the seventh on another shape.
    """
    groups = list(dict.fromkeys(str(row["group"]) for row in rows))
    y = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190, "grid": True}}
    colours = {"domain": groups, "range": [f"var(--line-{i % 6})" for i in range(len(groups))]}
    shapes = {"domain": groups, "range": [_SHAPES[i // 6 % len(_SHAPES)] for i in range(len(groups))]}
    group = {
        "field": "group",
        "type": "nominal",
        "title": None,
        "legend": {"columns": 2, "columnPadding": 4, "labelFontSize": 11},
    }
    return chart(
        height=19 * len({row["name"] for row in rows}) + 4,
        data={"values": list(rows)},
        layer=[
            {"mark": {"type": "rule", "strokeDash": [5, 4]}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.85},
                "encoding": {
                    "y": y,
                    "x": {"field": "x", "type": "quantitative", "title": x, "scale": {"zero": False}},
                    "color": {**group, "scale": colours},
                    "shape": {**group, "scale": shapes},
                    "tooltip": _tooltip(("name", "name"), ("benchmark", "benchmark"), ("text", x)),
                },
            },
        ],
    )


def curves(rows: Sequence[Mapping[str, object]], x: str, y: str, *, step: bool = False, log: bool = False) -> Spec:
    """Lines: rows have ``x``, ``y`` and ``line``, the name of their line.

    Args:
        rows: the points of all lines.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        step: whether a value holds until the next one.
        log: whether the vertical axis is logarithmic.
    """
    names = list(dict.fromkeys(str(row["line"]) for row in rows))
    scale: Spec = {"type": "log", "nice": False, "padding": 8} if log else {"zero": False}
    ticks: Spec = {"values": _decades([float(str(row["y"])) for row in rows])} if log else {}
    line = {"type": "line", "point": len(rows) <= 60 * len(names), **({"interpolate": "step-after"} if step else {})}
    return chart(
        height=260,
        data={"values": list(rows)},
        mark=line,
        encoding={
            "x": {"field": "x", "type": "quantitative", "title": x, "axis": {"tickMinStep": 1, "grid": False}},
            "y": {"field": "y", "type": "quantitative", "title": y, "scale": scale, "axis": ticks},
            "color": {
                "field": "line",
                "type": "nominal",
                "title": None,
                "sort": None,
                "scale": {"domain": names, "range": [f"var(--line-{i % 6})" for i in range(len(names))]},
                "legend": {"columns": 2},
            },
            "tooltip": _tooltip(("line", "line"), ("x", x), ("y", y)),
        },
    )


def _decades(values: Sequence[float]) -> list[float]:
    """Ticks of a logarithmic axis: 1, 2 and 5 of each decade, or only powers of ten where there are many.

    >>> _decades([0.3, 12])
    [0.5, 1.0, 2.0, 5.0, 10.0]
    """
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 4 else (1,)
    every = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [tick for tick in every if low <= tick <= high]


def kind_colour() -> Spec:
    """Colour of a row by its kind, with a legend of the kinds that occur."""
    return {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": _KINDS, "range": [f"var(--{kind})" for kind in _KINDS]},
        "legend": {"values": []},
    }


def _tooltip(*fields: tuple[str, str]) -> list[Spec]:
    return [{"field": field, "title": title} for field, title in fields]
