"""The page of ``zoo.py``: what became of each network, and why."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo_counters import close
from zoo_networks import CLASSES, IMAGES

Result = Mapping[str, Any]

#: Why a counter that follows a trace gives another number; each was looked up in the network's code.
WHY = {
    "msdnet22_cifar10": "The network computes ten classifiers and returns the last. A trace drops the others, "
    "which are executed, so zcbench counts them.",
    "isqrtcovresnet18": "Covariance pooling and the matrix square root are own autograd functions, into which a trace "
    "does not look: half of the products.",
}


COUNTERS = """MACs are the products of convolutions, linear layers, recurrent layers and of matrices, those of attention
included, for one image. [fvcore](https://pypi.org/project/fvcore/) counts them in a trace. It was told to leave out
normalisation, pooling and resampling, and how to count attention, LSTM, `baddbmm` and convolutions with
`padding="same"`. Differences below .1 % are its rounding of `einsum`. Where it gives no number, or another one,
[ptflops](https://pypi.org/project/ptflops/) counts what PyTorch dispatches, with the additions of biases.
"""


def page(results: Sequence[Result], versions: Mapping[str, str]) -> str:
    """The page as Markdown."""
    parts = (
        introduction(results, versions),
        *networks(results),
        *counters(results),
        *reasons(results),
        *raised(results),
    )
    return "\n".join(parts) + "\n"


def introduction(results: Sequence[Result], versions: Mapping[str, str]) -> str:
    """What was done, and the sums."""
    packages = {item["package"] for item in results}
    statuses = Counter(status for item in results for _, status, _ in item["failed"])
    values = sum(len(item["values"]) for item in results)
    told = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    stopped = sum(bool(item["raised"]) for item in results)
    used = ", ".join(f"{name} {number}" for name, number in versions.items())
    minutes, total = sum(item["seconds"] for item in results) / 60, len(results)
    pairs = values + sum(statuses.values())
    return f"""# Networks of other packages

**In short.** {values / pairs:.0%} of {pairs:,} pairs of network and proxy have a score, the others a status with a
reason.

![Shares of pairs with a score, not applicable, and singular or no number, for each package](zoo.scores.svg)

The figure: `python examples/page_figures.py zoo`.

{total} networks of {len(packages)} packages, none of them written for zcbench, scored with every proxy by
`python examples/zoo.py --out docs/results/zoo.md` after `pip install "zcbench[zoo]"`; the networks took
{minutes:.0f} minutes in all.
Weights are random with seed 0. Each network is shown {IMAGES} standard normal images of {CLASSES} classes. Proxies that
compare with a teacher are given the same architecture with the weights of seed 1.

- {values:,} scores. Without one: {told or "none"}. Status `error`: {statuses["error"]}.
- Parameters equal PyTorch's own sum in {sum(map(same_params, results))} of {total} networks. MACs equal another counter
  within .1 % in {sum(map(same_macs, results))}; [Counters](#counters) has the others.
- `zcbench.score(network, batch)` without a list of proxies raised for {stopped} networks.

Versions: {used}.
"""


def same_params(result: Result) -> bool:
    """Whether the proxy `params` equals the sum of the sizes of the parameters."""
    return result["values"].get("params") == result["apart"]["params"]


def same_macs(result: Result) -> bool:
    """Whether the proxy `macs` agrees with fvcore, or with ptflops where fvcore was no use."""
    macs, apart = result["values"].get("macs"), result["apart"]
    return any(close(macs, apart.get(name)) for name in ("fvcore", "ptflops"))


def networks(results: Iterable[Result]) -> Iterable[str]:
    """The table with a row a network."""
    yield "## Networks\n"
    yield "| package | network | images | parameters | MACs | counter | scores | not applicable | other | s |"
    yield "|---|---|---|---:|---:|---|---:|---:|---|---:|"
    for item in results:
        statuses = Counter(status for _, status, _ in item["failed"])
        absent = statuses.pop("not_applicable", 0)
        other = "; ".join(f"{status}: {', '.join(names(item, status))}" for status in statuses) or "–"
        yield (
            f"| {item['package']} | {escape(item['name'])} | {item['side']}×{item['side']} | {count(item, 'params')} "
            f"| {count(item, 'macs')} | {agreement(item)} | {len(item['values'])} | {absent} | {escape(other)} "
            f"| {item['seconds']:.0f} |"
        )


def names(result: Result, status: str) -> list[str]:
    """The proxies that have this status."""
    return [proxy for proxy, given, _ in result["failed"] if given == status]


def count(result: Result, proxy: str) -> str:
    """A count with separators."""
    value = result["values"].get(proxy)
    return "–" if value is None else f"{value:,.0f}"


def agreement(result: Result) -> str:
    """Which counter gives the same MACs, and how nearly."""
    macs, apart = result["values"].get("macs"), result["apart"]
    for name in ("fvcore", "ptflops"):
        if close(macs, apart.get(name)):
            gap = (macs - apart[name]) / apart[name]
            return f"{name}, equal" if gap == 0 else f"{name}, {gap:+.3%}"
    return "differs"


def counters(results: Iterable[Result]) -> Iterable[str]:
    """The networks for which fvcore is no use, and why."""
    yield "\n## Counters\n"
    yield COUNTERS
    yield "| network | zcbench | fvcore | ptflops | why fvcore is no use |"
    yield "|---|---:|---:|---:|---|"
    for item in results:
        apart, macs = item["apart"], item["values"].get("macs")
        if not close(macs, apart.get("fvcore")):
            why = apart.get("untraced") or WHY.get(item["name"], "not explained")
            numbers = [number(macs), number(apart.get("fvcore")), number(apart.get("ptflops"))]
            yield f"| {escape(item['name'])} | {' | '.join(numbers)} | {escape(why)} |"


def number(value: float | None) -> str:
    """A count with separators, or a dash."""
    return "–" if value is None else f"{value:,.0f}"


def reasons(results: Iterable[Result]) -> Iterable[str]:
    """Why scores are missing: reasons that differ in names and numbers alone are one row."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for item in results:
        for proxy, status, reason in item["failed"]:
            groups[status, re.sub(r"'[^']*'|[-\d.e+]+", "…", reason)].append((proxy, item["name"], reason))
    yield "\n## Why there is no score\n"
    yield "| status | reason, by an example | times | proxies | networks |"
    yield "|---|---|---:|---|---|"
    for (status, _), cases in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
        proxies, nets = (list(dict.fromkeys(column)) for column in list(zip(*cases))[:2])
        yield f"| {status} | {escape(cases[0][2])} | {len(cases)} | {few(proxies, 6)} | {few(nets, 4)} |"


def few(names: Sequence[str], most: int) -> str:
    """The first of the names, and how many more there are."""
    shown = ", ".join(escape(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def raised(results: Iterable[Result]) -> Iterable[str]:
    """What the call without a list raised."""
    stopped = [item for item in results if item["raised"]]
    if stopped:
        yield "\n## Where `zcbench.score(network, batch)` raised\n"
    for item in stopped:
        yield f"- {escape(item['name'])}: {escape(item['raised'])}"


def escape(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").replace("_", "\\_").replace("~", "\\~")
