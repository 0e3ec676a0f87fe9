"""Ensembles in the evidence of a ranking: their values, seeds and attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import and_

import pandas as pd

from zcbench.benchmarks.ranking.ensembles import Ensemble, require
from zcbench.benchmarks.ranking.evidence import Evidence
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import RankingError


def with_ensembles(evidence: Evidence, ensembles: Sequence[Ensemble]) -> Evidence:
    """Evidence with one more column per ensemble.

    The value is the rule applied to the members' means over their seeds, or, of ``stochastic_order``, to all of their
    scores. The trials, which only reliability and
    coverage use, are the rule applied to each seed that all members have; a size is the same in every seed. An
    attempt at the ensemble is one at every member. Its seconds are the sum of the members', an upper bound where they
    share a pass.

    Raises:
        RankingError: a member was not scored, or a proxy has the name of an ensemble.
    """
    values, about = evidence.values, evidence.about
    trials, tried = dict(evidence.trials), dict(evidence.tried)
    for item in ensembles:
        require(item, evidence.values.columns)
        if item.name in values:
            raise RankingError(
                f"Two columns are called {item.name!r}, one of them an ensemble. Expected different names; rename one."
            )
        value = item(evidence.values, _drawn(item, evidence))
        trials[item.name], tried[item.name] = _per_seed(item, evidence, value), _tried(item, evidence)
        values = values.assign(**{item.name: value})
        about = pd.concat([about, _row(item, evidence, value)])
    return replace(evidence, values=values, trials=trials, tried=tried, about=about)


def _per_seed(item: Ensemble, evidence: Evidence, value: pd.Series) -> pd.DataFrame:
    """The rule on the scores of each seed alone; the value itself where the members share no seed."""
    fixed = {name: evidence.values[name] for name in item.members if name in SIZES}
    drawn = _drawn(item, evidence)
    columns = {
        seed: item(pd.DataFrame(fixed | {name: trial[seed] for name, trial in drawn.items()}))
        for seed in _shared_seeds(item, evidence)
    }
    return pd.DataFrame(columns) if columns else value.to_frame(item.name)


def _drawn(item: Ensemble, evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Oriented scores of the members but the sizes, one column per seed."""
    signs = {name: 1.0 if evidence.about.loc[name, "higher_is_better"] else -1.0 for name in item.members}
    return {name: signs[name] * evidence.trials[name] for name in item.members if name not in SIZES}


def _tried(item: Ensemble, evidence: Evidence) -> pd.DataFrame:
    """Where every member was attempted, one column for each column of `_per_seed`."""
    tables = [evidence.tried[name] for name in item.members if name in evidence.tried]
    everywhere = pd.Series(True, evidence.values.index)
    if seeds := _shared_seeds(item, evidence):
        return pd.DataFrame({seed: reduce(and_, (table[seed] for table in tables), everywhere) for seed in seeds})
    return reduce(and_, (table.any(axis=1) for table in tables), everywhere).to_frame(item.name)


def _shared_seeds(item: Ensemble, evidence: Evidence) -> list[int]:
    """Seeds that all members have, the sizes aside, which have none."""
    columns = [{*evidence.trials[name].columns} for name in item.members if name not in SIZES]
    return sorted(set.intersection(*columns)) if columns else []


def _row(item: Ensemble, evidence: Evidence, value: pd.Series) -> pd.DataFrame:
    """Kind, direction, seconds and note of the ensemble."""
    seconds = evidence.about.loc[list(item.members), "seconds"].sum(min_count=1)
    note = f"{item.formula} over {value.notna().sum():,} architectures"
    note = f"baseline of the ensembles; {note}" if item.baseline else note
    columns = {"kind": "ensemble", "higher_is_better": True, "seconds": seconds, "note": note}
    return pd.DataFrame(columns, index=[item.name])


def cards(ensembles: Sequence[Ensemble], values: pd.DataFrame) -> Mapping[str, Mapping[str, object]]:
    """For the protocol: rule, members and population of each ensemble."""
    return {
        item.name: {
            "rule": item.rule,
            "members": list(item.members),
            "population": int(values[item.name].notna().sum()),
            "baseline": item.baseline,
        }
        for item in ensembles
    }
