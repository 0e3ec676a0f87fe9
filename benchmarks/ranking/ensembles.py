r"""Ensembles: the ranks that several proxies give to one population of architectures, aggregated.

The value of an ensemble for an architecture depends on the other architectures, so an ensemble is not a proxy. The
population is every architecture of the run that has all the members. Members are oriented so that higher is better;
rank 1 is the worst, rank m the best of m, and equal values share their mean rank.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024, arXiv:2403.19232.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import RankingError, RegistrationError, unknown
from zcbench.lazy import Postponed
from zcbench.registry import Registry
from zcbench.specification import split_at_commas, split_list

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*")
_DIGITS = 12  # sums that differ only by the order of their terms are equal


def log_rank(shares: pd.DataFrame) -> pd.Series:
    r"""Sum of the logarithms of the ranks; one low rank lowers the sum most.

    .. math::  s_i = \sum_{k} \log \frac{r_{ik}}{m}

    :math:`r_{ik}` is the rank of architecture i by member k, m the size of the population.

    Args:
        shares: :math:`r_{ik} / m`, one row per architecture, one column per member.

    Returns:
        One value per architecture, at most 0; higher is better.

    Note:
        The non-linear aggregation of AZ-NAS; the paper's ranks, too, rise with the score.
    """
    return np.log(shares).sum(axis=1)


def rank_sum(shares: pd.DataFrame) -> pd.Series:
    r"""Sum of the ranks; a low rank by one member can be offset by another.

    .. math::  s_i = \sum_{k} \frac{r_{ik}}{m}

    Args:
        shares: :math:`r_{ik} / m`, one row per architecture, one column per member.

    Returns:
        One value per architecture, from 0 to the number of members; higher is better.

    Note:
        TE-NAS, arXiv:2102.11535, adds ranks that fall with quality and takes the smallest sum: the same order.
    """
    return shares.sum(axis=1)


DRAWN = "stochastic_order"
"""The rule that reads the score of every seed in place of the mean."""

RULES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "log_rank": log_rank,
    "rank_sum": rank_sum,
    DRAWN: rank_sum,  # of the shares of `pooled_shares`
}
"""Aggregation rules by name; each takes ranks as shares of the population."""


def pooled_shares(draws: pd.DataFrame) -> pd.Series:
    r"""Mean rank of the draws of each architecture among the draws of all, as a share of their number.

    .. math::  s_i = \frac{1}{m k_i} \sum_{s} r_{is}, \qquad
               s_i = c + \frac{1}{m} \sum_{j \ne i} k_j \hat P(a_i > a_j)

    :math:`r_{is}` is the rank of the score of seed s among all m scores, :math:`k_i` the number of seeds of
    architecture i. With k seeds each, the order is that of the sum of the probabilities of a higher score than each
    other architecture has, estimated over all pairs of seeds (the statistic of Mann and Whitney).

    Args:
        draws: oriented scores, one row per architecture, one column per seed, NaN where there is none.

    Returns:
        One value per architecture, from 0 to 1; NaN without a draw.

    Source: arXiv:2502.19657 ("Variation Matters", TMLR 2025), which orders architectures by the stochastic order of
    repeated scores in place of their means. Our deviation: one value for a whole population, without tests.
    """
    from zcbench.benchmarks.statistics.ranks import mean_ranks  # a list of ensembles needs neither pandas nor scipy

    values = draws.to_numpy(float)
    known = np.isfinite(values)
    ranks = np.zeros_like(values)
    ranks[known] = mean_ranks(values[known])
    count = known.sum(axis=1)
    means = np.divide(ranks.sum(axis=1), count, out=np.full(len(draws), np.nan), where=count > 0)
    return pd.Series(means / max(count.sum(), 1), draws.index)


@dataclass(frozen=True)
class Ensemble:
    """A rule, and the proxies or sizes whose ranks it aggregates.

    Attributes:
        name: what every table calls it; no proxy may have this name.
        rule: a name of `RULES`.
        members: proxies, or sizes of `zcbench.benchmarks.ranking.sizes.SIZES`.
        summary: one sentence for people.
        source: the paper.
        baseline: whether it is a baseline of low cost for other ensembles.

    Raises:
        UnknownNameError: no rule is called ``rule``.
        RankingError: there is no member, or one is there twice.
    """

    name: str
    rule: str
    members: tuple[str, ...]
    summary: str = ""
    source: str = ""
    baseline: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown("rule of an ensemble", self.rule, RULES)
        twice = sorted({name for name in self.members if self.members.count(name) > 1})
        if twice or not all(self.members) or not self.members:
            what = f"{twice[0]!r} is there twice" if twice else "a name is empty" if self.members else "there is none"
            raise RankingError(
                f"The ensemble {self.formula} has wrong members: {what}. Expected different names of proxies, "
                f"as in 'log_rank(macs,jacov)'; mend the list."
            )

    @property
    def formula(self) -> str:
        """The rule and its members, ``log_rank(macs,jacov)``."""
        return f"{self.rule}({','.join(self.members)})"

    def __call__(self, columns: pd.DataFrame, draws: Mapping[str, pd.DataFrame] | None = None) -> pd.Series:
        """Aggregate oriented scores; NaN for an architecture that lacks a member.

        Args:
            columns: one row per architecture, one column per member, higher is better, NaN where there is no value.
            draws: oriented scores of each member, one column per seed, for ``stochastic_order``; a member without
                has one draw, its value.
        """
        population = columns[list(self.members)].dropna()
        shares = population.rank() / max(len(population), 1)
        if self.rule == DRAWN:
            given = draws or {}
            drawn = {name: given[name].loc[population.index] for name in self.members if name in given}
            shares = shares.assign(**{name: pooled_shares(own) for name, own in drawn.items()})
        value = RULES[self.rule](shares)
        return value.round(_DIGITS).reindex(columns.index)


def _register_builtins() -> None:
    for item in BUILT_IN:
        ENSEMBLES.add(item.name, item, __file__, own=True)


ENSEMBLES: Registry[Ensemble] = Registry("ensemble", group="zcbench.ensembles", builtins=_register_builtins)
"""All named ensembles: built in, from plug-in files, or from installed packages."""

BUILT_IN = (
    Ensemble(
        "log_rank(macs,jacov)",
        "log_rank",
        ("macs", "jacov"),
        "The free baseline that any other ensemble has to beat: a count and one backward pass.",
        baseline=True,
    ),
    Ensemble(
        "az_nas",
        "log_rank",
        ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity"),
        "The four proxies of AZ-NAS.",
        "arXiv:2403.19232, non-linear ranking aggregation",
    ),
    Ensemble(
        "vkdnw_agg",
        "log_rank",
        ("vkdnw_single", "jacov", "az_expressivity", "az_trainability", "macs"),
        "VKDNW with the number of layers, beside Jacov, two proxies of AZ-NAS, and what the paper calls FLOPs.",
        "arXiv:2502.04975, ablation of the aggregate, and released code",
    ),
    Ensemble(
        "te_nas",
        "rank_sum",
        ("te_nas_ntk", "te_nas_regions"),
        "Trainability by the neural tangent kernel, and expressivity by the number of linear regions.",
        "arXiv:2102.11535",
    ),
    Ensemble(
        "diswot_rank",
        "rank_sum",
        ("diswot_semantic", "diswot_relation"),
        "Both distances to the teacher on one scale; in the plain sum the semantic one is a hundred times the other.",
        "the proxies of arXiv:2303.15678; the sum of ranks is ours",
    ),
    Ensemble(
        "az_meco",
        "rank_sum",
        ("az_expressivity", "meco_opt"),
        "Features of the blocks and of the channels; tau given all sizes is above 0 on NAS-Bench-201 and S0, not on "
        "PiT and AutoFormer.",
        "ours; chosen on these accuracies, so that its figures on them are optimistic",
    ),
)


def ensemble(name: str, formula: str, *, summary: str = "", source: str = "", baseline: bool = False) -> Ensemble:
    """Register an ensemble under a name of its own, so that every ranking with its members has it.

    Args:
        name: a name that no other ensemble and no proxy has.
        formula: rule and members.
        summary: one sentence for people.
        source: the paper.
        baseline: whether it is a baseline for other ensembles.

    Raises:
        RegistrationError: the name is that of a proxy, has other characters than letters, digits, ``_``, ``-`` and
            ``.``, or is reserved.
        DuplicateNameError: the name is taken by a definition from elsewhere.
        RankingError: ``formula`` is not a rule with its members.
        UnknownNameError: its rule is unknown.

    Example:
        >>> ensemble("two_kinds", "rank_sum(synflow, naswot)").formula
        'rank_sum(synflow,naswot)'
    """
    from zcbench.proxies import REGISTRY  # imports PyTorch, which a list of ensembles does not need

    if name in SIZES or name in REGISTRY:
        raise RegistrationError(
            f"The ensemble {name!r} has the name of a proxy, and a table would show both. Give it a name of its own."
        )
    made = replace(_parsed(formula), name=name, summary=summary, source=source, baseline=baseline)
    caller = sys._getframe(1)
    ENSEMBLES.add(name, made, f"{caller.f_code.co_filename}:{caller.f_lineno}")
    return made


def named(text: str, known: Collection[str]) -> Ensemble:
    """The ensemble of a registered name, or the one that ``rule(member,member)`` spells out.

    Args:
        text: a name or a rule with its members.
        known: names that may be members, besides the sizes.

    Raises:
        UnknownNameError: nothing has this name, or the rule or a member is unknown; the message has the nearest names.
        RankingError: the text is neither.
    """
    text = text.strip()
    if text in ENSEMBLES or not set("()") & set(text):
        return ENSEMBLES.get(text)
    found = _parsed(text)
    for member in found.members:
        if member.partition("(")[0] not in {*known, *SIZES} and member not in known:
            raise unknown("proxy", member, {*known, *SIZES})
    return ENSEMBLES.get(found.formula) if found.formula in ENSEMBLES else found


def _parsed(text: str) -> Ensemble:
    match = _CALL.fullmatch(text)
    members = tuple(map(str.strip, split_at_commas(match[2]))) if match and match[2].strip() else ()
    if not match or not all(map(_closes, members)):
        raise RankingError(
            f"{text!r} is no ensemble. Expected a rule with its members in parentheses, such as "
            f"'log_rank(macs,jacov)', or a registered name; rules are {', '.join(RULES)}."
        )
    return Ensemble(f"{match[1]}({','.join(members)})", match[1], members)


def _closes(name: str) -> bool:
    """Whether every parenthesis in ``name`` is closed, and none before it is opened."""
    depths = list(accumulate((letter == "(") - (letter == ")") for letter in name))
    return not depths or (depths[-1] == 0 and min(depths) == 0)


def choose(given: str | Sequence[str | Ensemble], known: Collection[str], scored: Collection[str]) -> list[Ensemble]:
    """The ensembles that were asked for.

    Args:
        given: ``"all"``, every registered one whose members were all scored; ``"none"``; or some, as a sequence or in
            one text with commas between them.
        known: names that may be members, besides the sizes.
        scored: names that have scores.

    Raises:
        UnknownNameError: an ensemble, its rule or a member is unknown.
        RankingError: one that was asked for by name has a member without scores.
    """
    scored = {*scored, *SIZES}
    if given == "all":
        return [item for item in ENSEMBLES.usable()[0] if scored.issuperset(item.members)]
    texts = () if given == "none" else split_list(given) or [given] if isinstance(given, str) else given
    chosen = [named(item, known) if isinstance(item, str) else item for item in texts]
    for item in chosen:
        require(item, scored)
    return list(dict.fromkeys(chosen))


def require(item: Ensemble, scored: Collection[str]) -> None:
    """Refuse an ensemble with a member that is not among ``scored``.

    Raises:
        RankingError: a member has no scores.
    """
    lacking = [name for name in item.members if name not in scored]
    if lacking:
        raise RankingError(
            f"The ensemble {item.name!r} needs {', '.join(lacking)}, which nobody scored. Expected scores of all its "
            f"members ({', '.join(item.members)}); score them too, or leave the ensemble out."
        )
