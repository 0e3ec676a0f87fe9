"""NSGA-II: its operators against their definition, and what it finds against plain pymoo."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from zcbench.benchmarks.scoring.bundled import load
from zcbench.search import NSGA2, SearchError, SearchProblem, search
from zcbench.search.algorithms.nsga2 import _CHANGES, _Known, _Mutate

EXAMPLE = Path(__file__).parents[3] / "examples" / "nsga2_against_pymoo.py"


def test_per_gene_mutation(strings):
    """Closed form: of n genes each is drawn anew with probability 1/n; how many change is Poisson for large n."""
    length, n = 5000, 2000
    known, domain = _Known(), strings(length)
    domain.neighbours = lambda candidate: pytest.fail("a mutation lists all neighbours")
    domain.mutate = lambda candidate, rng: (*candidate, int(rng.integers(10**9)))
    start = known.numbers([()] * n)[:, None]
    mutated = _Mutate(domain, known)._do(None, start, random_state=np.random.default_rng(0))
    changes = np.array([len(known.at(number)) for number in mutated[:, 0]])
    expected = poisson.pmf(np.arange(4), _CHANGES)
    seen = np.array([(changes == k).sum() for k in range(4)])
    assert chisquare([*seen, n - seen.sum()], n * np.append(expected, 1 - expected.sum())).pvalue > 0.001


def test_equal_candidates_have_one_number():
    """By construction: pymoo tells candidates apart by their numbers alone."""
    known = _Known()
    assert known.numbers(["a", "b", "a"]).tolist() == [0, 1, 0]
    assert known.numbers(["c", "b"]).tolist() == [2, 1]
    assert [known.at(number) for number in (0.0, 1.0, 2.0)] == ["a", "b", "c"]


def test_no_child_is_in_the_population(strings, counted):
    """Invariance: what a generation proposes is neither in it twice nor among its parents."""
    algorithm = NSGA2(population=10).start(SearchProblem(strings(12), np.random.default_rng(3), objectives=2))
    evaluate = counted(2)
    for _ in range(8):
        parents = set(algorithm.living)
        asked = algorithm.ask(10)
        assert len(set(asked)) == len(asked) and parents.isdisjoint(asked)
        algorithm.tell(evaluate(asked))
        assert len(algorithm.living) == 10


def test_without_crossover_children_differ_in_few_choices(strings, counted):
    """By construction: a mutant of one parent; with crossover children take much from two."""
    far = {}
    for crossover in (0.0, 1.0):
        algorithm = NSGA2(16, crossover).start(SearchProblem(strings(60), np.random.default_rng(1), objectives=2))
        parents = algorithm.ask(16)
        algorithm.tell(counted(2)(parents))
        children = np.array(algorithm.ask(16))
        far[crossover] = np.abs(children[:, None] - np.array(parents)[None]).sum(axis=2).min(axis=1)
    assert far[0.0].max() <= 6 and far[1.0].mean() > 10


def test_it_finds_what_plain_pymoo_finds():
    """Slow reference: plain pymoo with uniform crossover and per-gene mutation, 500 evaluations on bundled scores.

    Over 200 seeds both cover .997 of the hypervolume with a deviation of .004; the means of 30 seeds differ by less
    than .003 unless something is wrong with the operators.
    """
    spec = importlib.util.spec_from_file_location("nsga2_against_pymoo", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    frame = load("nasbench201")[1]
    (plain, _), (ours, _) = example._compared(frame, "naswot", "macs", 500, range(30))
    assert ours.mean() > plain.mean() - 0.003
    assert ours.mean() > 0.99


def test_a_generation_of_failures_goes_on(strings):
    """By construction: where nothing has a value the search goes on to its end."""
    from zcbench.search import Evaluated

    algorithm = NSGA2(population=8).start(SearchProblem(strings(10), np.random.default_rng(0), objectives=2))
    nothing = search(algorithm, lambda some: [Evaluated(one, (np.nan, 1.0), "error") for one in some], 40)
    assert len(nothing.history) == 40
    with pytest.raises(SearchError, match="at least 2"):
        NSGA2().start(SearchProblem(strings(10), np.random.default_rng(0)))
