r"""What a search maximises: one score, or several whose ranks are aggregated.

Ranks need a group. Either it is what the search itself has at hand: the living population when a parent is chosen, all
that was evaluated when the winner is. Or it is a reference sample that is fixed before the search begins; then the
value of an architecture depends on nothing that the search does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from zcbench.benchmarks.ranking.ensembles import ENSEMBLES, RULES, Ensemble, named
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import unknown
from zcbench.proxies import REGISTRY
from zcbench.search.algorithms.loop import Evaluated, SearchError

_DIGITS = 12  # sums that differ only by the order of their terms are equal


@dataclass(frozen=True)
class Objective:
    """One score to be maximised.

    Attributes:
        terms: proxies, sizes or ensembles; several are aggregated by ``rule``.
        rule: a name of `zcbench.benchmarks.ranking.ensembles.RULES`.
        rankings: where names that a ranking put first come from, JSON-able.
        members: names of all scores that are needed.

    Raises:
        SearchError: there is no term, or one is there twice.
        UnknownNameError: no rule has this name.
    """

    terms: tuple[str | Ensemble, ...]
    rule: str = "log_rank"
    rankings: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    members: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown("rule of an ensemble", self.rule, RULES)
        names = [term if isinstance(term, str) else term.name for term in self.terms]
        if not names or len(set(names)) < len(names):
            raise SearchError(
                f"The objective is made of {', '.join(names) or 'nothing'}. Expected one or more different proxies or "
                f"ensembles, such as 'macs' or 'log_rank(macs,jacov)'."
            )
        parts = [[term] if isinstance(term, str) else term.members for term in self.terms]
        object.__setattr__(self, "members", tuple(dict.fromkeys(name for part in parts for name in part)))

    @classmethod
    def read(cls, names: Sequence[str], rule: str = "log_rank") -> "Objective":
        """The objective of names or formulas, each once: proxies, sizes and ensembles, in this order.

        Raises:
            UnknownNameError: a name is none of these; the message has the nearest ones.

        >>> Objective.read(["macs", "log_rank(macs,jacov)"]).members
        ('macs', 'jacov')
        """
        return cls(tuple(dict.fromkeys(map(_term, names))), rule)

    @property
    def chosen_by(self) -> list[str]:
        """Truths that the rankings rest on."""
        return [name for about in self.rankings for name in about["truths"]]

    @property
    def formula(self) -> str:
        """The objective in one line."""
        names = [term if isinstance(term, str) else term.formula for term in self.terms]
        return names[0] if len(names) == 1 else f"{self.rule}({','.join(names)})"

    @property
    def needs_group(self) -> bool:
        """Whether ranks enter, so that one architecture alone has no value."""
        return len(self.terms) > 1 or not isinstance(self.terms[0], str)

    def within(self, group: Sequence[Evaluated[str]]) -> np.ndarray:
        """Values of a group by the ranks in that group; minus infinity for an architecture that lacks a member."""
        return _of_known(group, self.members, lambda table: _value(self, table, _rank_shares, _rank_shares))

    def against(self, reference: Sequence[Evaluated[str]]) -> "Reference":
        """The objective with ranks against a sample that is fixed.

        Raises:
            SearchError: nothing in the sample has all members.
        """
        return Reference(self, reference)


class Reference:
    r"""Ranks against a fixed sample :math:`R` of m architectures.

    .. math::  \operatorname{share}(x) = \frac{|\{r \in R : r < x\}| + \tfrac12 |\{r \in R : r = x\}| + 1}{m + 1}

    stands where a rank divided by the size of the population stands in the rule: it is that of x among R and itself.
    Architectures better than all of R by every member are equal; a larger sample keeps them apart for longer.

    Args:
        objective: what is aggregated.
        sample: the reference, evaluated; what lacks a member is left out.

    Raises:
        SearchError: nothing in the sample has all members.
    """

    def __init__(self, objective: Objective, sample: Sequence[Evaluated[str]]) -> None:
        self._objective = objective
        complete = [one for one in sample if one.ok]
        if not complete:
            raise SearchError(
                f"None of the {len(sample)} architectures of the reference sample has a value of "
                f"{', '.join(objective.members)}. Expected some; see their statuses, or leave out the proxy that fails."
            )
        self.size = len(complete)
        table = _table(complete, objective.members)
        self._members = np.sort(table, axis=0)
        self._terms = np.sort(_terms(objective, table, self._member_shares), axis=0)

    def __call__(self, group: Sequence[Evaluated[str]]) -> np.ndarray:
        """Values of a group, each by itself; minus infinity for an architecture that lacks a member."""
        return _of_known(
            group,
            self._objective.members,
            lambda table: _value(
                self._objective, table, self._member_shares, lambda terms: _shares(terms, self._terms)
            ),
        )

    def _member_shares(self, table: np.ndarray) -> np.ndarray:
        return _shares(table, self._members)


def _term(name: str) -> str | Ensemble:
    if name in SIZES or name in REGISTRY:
        return name
    if name in ENSEMBLES or "(" in name:
        return named(name, REGISTRY.names())
    raise unknown("proxy, size or ensemble", name, {*REGISTRY.names(), *ENSEMBLES.names(), *SIZES})


Shares = Callable[[np.ndarray], np.ndarray]


def _table(group: Sequence[Evaluated[str]], members: Sequence[str]) -> np.ndarray:
    """Members of every architecture of a group, shape ``(n, members)``."""
    return np.array([one.values[: len(members)] for one in group], dtype=float)


def _of_known(group: Sequence[Evaluated[str]], members: Sequence[str], value: Shares) -> np.ndarray:
    """``value`` of the rows that have all members, minus infinity elsewhere."""
    values = np.full(len(group), -math.inf)
    known = [place for place, one in enumerate(group) if one.ok]
    if known:
        values[known] = value(_table([group[place] for place in known], members))
    return values


def _value(objective: Objective, table: np.ndarray, member_shares: Shares, term_shares: Shares) -> np.ndarray:
    """The objective of every row, with ranks as shares of the population that the two functions stand for."""
    terms = _terms(objective, table, member_shares)
    if terms.shape[1] == 1:
        return terms[:, 0]
    return _ruled(objective.rule, term_shares(terms))


def _terms(objective: Objective, table: np.ndarray, member_shares: Shares) -> np.ndarray:
    """Every term of every row; an ensemble is its rule over the shares of its members."""
    ranked = not all(isinstance(term, str) for term in objective.terms)
    shares, places = member_shares(table) if ranked else table, {name: n for n, name in enumerate(objective.members)}
    return np.column_stack(
        [
            table[:, places[term]]
            if isinstance(term, str)
            else _ruled(term.rule, shares[:, [places[name] for name in term.members]])
            for term in objective.terms
        ]
    )


def _ruled(rule: str, shares: np.ndarray) -> np.ndarray:
    return np.asarray(RULES[rule](pd.DataFrame(shares)).round(_DIGITS), dtype=float)


def _rank_shares(table: np.ndarray) -> np.ndarray:
    """Rank of every entry in its column, equal ones at their mean, as a share of the rows."""
    return np.asarray(rankdata(table, axis=0)) / len(table)


def _shares(table: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """The formula of `Reference` for every column; those of ``sample`` are sorted."""
    found = np.empty_like(table)
    for place, column in enumerate(sample.T):
        below, not_above = (np.searchsorted(column, table[:, place], side) for side in ("left", "right"))
        found[:, place] = ((below + not_above) / 2 + 1) / (len(column) + 1)
    return found


def oriented(frame: pd.DataFrame, directions: Mapping[str, bool]) -> pd.DataFrame:
    """Mean over the ok seeds by architecture, one column per proxy, higher is better; NaN where none is ok.

    Args:
        frame: attempts, with the columns ``arch, proxy, seed, value, status``.
        directions: whether higher is better, by proxy.
    """
    value = frame["value"].where(frame["status"] == "ok")
    means = frame.assign(value=value).groupby(["arch", "proxy"], sort=False)["value"].mean().unstack("proxy")
    return means.mul(pd.Series({name: 1.0 if directions.get(str(name), True) else -1.0 for name in means}))
