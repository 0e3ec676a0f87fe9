"""Rejection, shrinkage, evolution and pre-screen of the distiller search, on invented losses and fitnesses."""

import math

import numpy as np
import pytest

from zcbench.kdzero.evolution import Deduplicated, DistillerSpace, Evolution, Prescreened, Rejection, Shrinkage, Step
from zcbench.kdzero.genome import Genome, GenomeDomain
from zcbench.search.algorithms.loop import Evaluated, SearchError, SearchProblem, first_value, search
from zcbench.search.algorithms.random_search import RandomSearch

FINE = [Step(4.0 - 0.1 * at, 2.3 - 0.05 * at, 1.7 - 0.05 * at) for at in range(10)]


def steps(*values: tuple[float, float]) -> list[Step]:
    """Steps of these cross-entropies and distillation losses, both with weight 1."""
    return [Step(ce + loss, ce, loss) for ce, loss in values]


def test_a_falling_loss_is_kept():
    """Contract: no rule speaks at any step of a training that goes well."""
    assert [Rejection().verdict(FINE[:seen]) for seen in range(11)] == [""] * 11


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (steps((2.3, math.nan)), "not finite"),
        (steps((2.3, 1.0), (math.inf, 1.0)), "not finite"),
        (steps((2.3, 1.0), (2.3, 998.0)), "excessive"),
        (steps((2.3, -2000.0)), "excessive"),
        (steps((2.3, 0.5), (2.2, 0.5), (2.1, 0.5), (2.0, 0.5)), "constant"),
        (steps((2.3, 0.0), (2.2, 0.0), (2.1, 0.0), (2.0, 0.0)), "constant"),
        (steps((2.3, 1e-4), (2.2, 2e-4), (2.1, 1e-4), (2.0, 1e-4)), "vanishing"),
        (steps((2.3, 5.0), (2.2, 4e-6)), "collapsed"),
        ([*FINE[:7], *steps((5.0, 1.0), (5.0, 1.1), (5.0, 1.2))], "exploding"),
    ],
)
def test_each_rule_speaks(seen, word):
    """Contract: by its name, at the first step at which it can."""
    assert Rejection().verdict(seen).startswith(word)
    assert Rejection().verdict(seen[:-1]) == ""


def test_constant_means_more_than_three():
    """Published rule: identical scores count once more than three exist."""
    same = steps((2.3, 0.5), (2.2, 0.5), (2.1, 0.5))
    assert Rejection().verdict(same) == ""
    assert Rejection().verdict([*same, *steps((2.0, 0.51))]) == ""


def test_a_rejection_out_of_range():
    """Contract: refused by name."""
    with pytest.raises(SearchError, match="growth=0"):
        Rejection(growth=0)


def genomes() -> list[Genome]:
    """Eight genomes: four on logits, four on features; half of each by l1, half by l2."""
    return [Genome(what, distance=how) for what in ("logits", "features") for how in ("l1", "l2", "l1", "l2")]


def test_shrinkage_by_hand():
    """Closed form: 8 genomes, those on features bad; with 4 beforehand, features weigh ((1 - 6/8)/(1 - 1/2)) = 1/2."""
    fitness = np.array([4.0, 3.0, 2.0, 1.0, *[-math.inf] * 4])
    weights = Shrinkage(tail=0, after=8).weights(genomes(), fitness)
    assert weights == {"input": {"features": 0.5}}


def test_the_tail_counts_as_bad():
    """Closed form: without failures the least fit quarter is bad: two of the four by l1, none of the others."""
    fitness = np.array([0.0, 5.0, 0.1, 6.0, 7.0, 8.0, 9.0, 10.0])
    weights = Shrinkage(tail=0.25, prior=0, after=8).weights(genomes(), fitness)
    assert weights == {"distance": {"l1": round(0.5 / 0.75, 6)}, "input": {"logits": round(0.5 / 0.75, 6)}}


def test_the_floor_and_the_beginning():
    """Contract: no weight below the floor; none at all before enough is evaluated, or where everything is bad."""
    fitness = np.array([4.0, 3.0, 2.0, 1.0, *[-math.inf] * 4])
    sharp = Shrinkage(tail=0, prior=0, floor=0.2, after=8)
    assert sharp.weights(genomes(), fitness)["input"] == {"features": 0.2}
    assert sharp.weights(genomes()[:7], fitness[:7]) == {}
    assert sharp.weights(genomes(), np.full(8, -math.inf)) == {}


def test_the_space_shrinks_as_it_learns():
    """Closed form: one of two inputs, weighing .1, is drawn a tenth as often in 2,000 draws, to 5 standard errors."""
    space = DistillerSpace(GenomeDomain(), Shrinkage(tail=0, prior=0, floor=0.1, after=8))
    history = [Evaluated(genome, (0.0,)) for genome in genomes()]
    space.learn(history, np.array([4.0, 3.0, 2.0, 1.0, *[-math.inf] * 4]))
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng).input for _ in range(2000)]
    assert drawn.count("features") / drawn.count("logits") == pytest.approx(0.1, abs=0.038)
    assert space.log == [{"evaluations": 8, "weights": {"input": {"features": 0.1}}}]


def test_duplicates_are_one_candidate(strings, counted):
    """Slow reference: bits that differ only beyond the first three are one; the first that came up stands for all."""
    evaluate, space = counted(), Deduplicated(strings(12), lambda bits: bits[:3])
    trace = search(
        RandomSearch().start(SearchProblem(space, np.random.default_rng(0))), evaluate, 100, step=4, patience=8
    )
    plain, rng, first = strings(12), np.random.default_rng(0), {}
    for drawn in (plain.sample(rng) for _ in range(200)):
        first.setdefault(drawn[:3], drawn)
    assert [one.candidate for one in trace.history] == evaluate.seen == list(first.values())
    assert all(one != other and one[:3] == other[:3] for one, other in space.duplicates.items())
    assert len(space.neighbours(evaluate.seen[0])) == 4  # three that differ in a bit that counts, and itself


def test_an_emptied_space():
    """Contract: operations that are dropped until nothing is left are an error that says what to do."""
    space = DistillerSpace(
        GenomeDomain().restricted(distance=["l1"]), Shrinkage(tail=0.5, prior=0, floor=0, drop=1, after=4)
    )
    history = [Evaluated(Genome("logits", distance="l1"), (0.0,))] * 2
    history += [Evaluated(Genome("logits", distance="l2"), (0.0,))] * 2
    with pytest.raises(SearchError, match=r"emptied the space.*drop=0"):
        space.learn(history, np.array([0.0, 0.1, 1.0, 2.0]))


@pytest.mark.parametrize("given", [{"tail": 1.5}, {"floor": -1}, {"prior": math.inf}])
def test_a_shrinkage_out_of_range(given):
    """Contract: refused by name."""
    with pytest.raises(SearchError, match=next(iter(given))):
        Shrinkage(**given)


def test_evolution_never_loses_the_best(strings, counted):
    """Invariance: the population is the fittest so far, in order, and its best never falls."""
    evaluate = counted()
    algorithm = Evolution(strings(12), np.random.default_rng(0), population=6, tournament=3, fitness=first_value)
    best = []
    trace = search(algorithm, evaluate, 60, step=4, watch=lambda trace: best.append(trace.steps[-1]))
    ones = {one.candidate: one.values[0] for one in trace.history}
    for done, population in best:
        so_far = sorted((one.values[0] for one in trace.history[:done]), reverse=True)
        assert [ones[member] for member in population] == so_far[: len(population)]
    assert max(ones.values()) > max(ones[one.candidate] for one in trace.history[:6])


def test_evolution_beats_random(strings, counted):
    """Oracle: in 20 bits, with 100 evaluations, it finds more ones than random draws with the same generator."""
    found = {}
    random = RandomSearch().start(SearchProblem(strings(20), np.random.default_rng(1)))
    options = {"population": 10, "tournament": 4, "fitness": first_value}
    evolution = Evolution(strings(20), np.random.default_rng(1), **options)
    for name, made in (("random", random), ("evolution", evolution)):
        found[name] = search(made, counted(), 100, step=5)
    assert max(one.values[0] for one in found["evolution"].history) > max(
        one.values[0] for one in found["random"].history
    )
    assert found["evolution"].history[:10] == found["random"].history[:10]  # the first population is random


def test_what_failed_has_no_children(strings, counted):
    """Contract: a candidate without value is never in the population, and the population fills up with others."""
    failing = (1,) * 4
    algorithm = Evolution(strings(4), np.random.default_rng(0), population=4, tournament=2, fitness=first_value)
    trace = search(algorithm, counted(failing=failing), 15, step=3)
    assert failing in [one.candidate for one in trace.history]
    assert all(failing not in population for _, population in trace.steps)


@pytest.mark.parametrize("given", [{"tournament": 30}, {"tournament": 0}, {"crossover": 2.0}])
def test_an_evolution_out_of_range(strings, given):
    """Contract: refused by name."""
    with pytest.raises(SearchError, match=next(iter(given))):
        Evolution(strings(4), np.random.default_rng(0), fitness=first_value, **given)


def test_the_prescreen_keeps_the_best_by_the_proxy(strings, counted):
    """Slow reference: the same draws, of which the one with the most ones in each three is kept; NaN always loses."""
    draws = RandomSearch().start(SearchProblem(strings(10), np.random.default_rng(0))).ask(12)
    value = {one: math.nan if one[0] else float(sum(one)) for one in draws}
    screened = Prescreened(
        RandomSearch().start(SearchProblem(strings(10), np.random.default_rng(0))), 3, lambda one: value[one]
    )
    expected = [
        max(draws[at : at + 3], key=lambda one: -1.0 if math.isnan(value[one]) else value[one])
        for at in range(0, 12, 3)
    ]
    assert screened.ask(4) == expected
    assert [len(slot) for slot in screened.rows()] == [3, 3, 3, 3]
    with pytest.raises(SearchError, match="pre-screen of 0"):
        Prescreened(RandomSearch().start(SearchProblem(strings(10), np.random.default_rng(0))), 0, float)
