"""The loop and its algorithms, on strings of bits: what they propose, what they remember, when they end."""

import numpy as np
import pytest

from zcbench.errors import ZcbenchError
from zcbench.search import (
    ALGORITHMS,
    NSGA2,
    Evaluated,
    LocalSearch,
    RandomSearch,
    RegularisedEvolution,
    SearchError,
    SearchProblem,
    curve,
    first_value,
    named,
    pick,
    search,
)
from zcbench.search.algorithms.pareto import front

CHOICES = (RandomSearch(), RegularisedEvolution(population=12, tournament=4), LocalSearch(), NSGA2(population=12))


def started(choice, domain, rng):
    return choice.start(SearchProblem(domain, rng, objectives=2))


@pytest.fixture(params=CHOICES, ids=lambda choice: choice.name)
def algorithm(request):
    return lambda domain, rng: started(request.param, domain, rng)


def test_every_candidate_is_evaluated_once(algorithm, strings, counted):
    """Invariance: the history is what was evaluated, without repetition, and as long as was asked for."""
    evaluate = counted(2)
    trace = search(algorithm(strings(8), np.random.default_rng(0)), evaluate, 60)
    assert [one.candidate for one in trace.history] == evaluate.seen
    assert len(set(evaluate.seen)) == 60
    assert trace.proposals >= 60
    assert trace.stopped == "60 evaluations are done"


def test_a_shorter_search_is_the_beginning_of_a_longer_one(algorithm, strings, counted):
    """Invariance: the budget ends a search and does not steer it."""
    histories = [
        [one.candidate for one in search(algorithm(strings(8), np.random.default_rng(3)), counted(2), n).history]
        for n in (25, 70)
    ]
    assert histories[0] == histories[1][:25]


def test_the_generator_alone_decides(algorithm, strings, counted):
    """Invariance: the same generator gives the same search whatever the global state is; another gives another."""
    histories = []
    for seed, state in ((1, 5), (1, 6), (2, 5)):
        np.random.seed(state)
        trace = search(algorithm(strings(8), np.random.default_rng(seed)), counted(2), 50)
        histories.append([one.candidate for one in trace.history])
    assert histories[0] == histories[1] != histories[2]


def test_an_exhausted_domain_ends_the_search(algorithm, strings, counted):
    """Closed form: four bits are 16 candidates, and no search finds a seventeenth."""
    trace = search(algorithm(strings(4), np.random.default_rng(0)), counted(2), 100, patience=60)
    assert len(trace.history) <= 16
    assert "nothing left" in trace.stopped or "known already" in trace.stopped


def test_random_search_finds_every_candidate(strings, counted):
    """Closed form: all 16 strings of four bits, each once."""
    trace = search(started(RandomSearch(), strings(4), np.random.default_rng(0)), counted(), 100)
    assert sorted(one.candidate for one in trace.history) == sorted({one.candidate for one in trace.history})
    assert len(trace.history) == 16


def test_local_search_climbs_by_the_best_neighbour(strings, counted):
    """Closed form: from a string with z zeros all ones are reached in z moves of at most n evaluations each."""
    trace = search(started(LocalSearch(), strings(8), np.random.default_rng(1)), counted(), 1 + 8 * 8, step=3)
    start = trace.history[0]
    moves = 8 - int(start.values[0])
    assert (1,) * 8 in [one.candidate for one in trace.history[: 1 + 8 * moves]]


def test_ageing_evolution_is_the_published_algorithm(strings, counted):
    """Slow reference: arXiv:1802.01548, algorithm 1, with the same draws, where children are new by construction."""
    domain, length, population, tournament = strings(40), 40, 10, 3

    def reference(rng, cycles):
        living, history = [], []
        while len(living) < population:
            living.append(domain.sample(rng))
            history.append(living[-1])
        while len(history) < cycles:
            drawn = rng.choice(population, size=tournament, replace=False)
            parent = living[max(drawn.tolist(), key=lambda place: sum(living[place]))]
            child = domain.mutate(parent, rng)
            while child in history:
                child = domain.mutate(child, rng)
            living = [*living[1:], child]
            history.append(child)
        return history

    algorithm = started(RegularisedEvolution(population, tournament), domain, np.random.default_rng(7))
    trace = search(algorithm, counted(), 80, step=1)
    assert [one.candidate for one in trace.history] == reference(np.random.default_rng(7), 80)
    assert list(algorithm.living) == [one.candidate for one in trace.history[-population:]]
    assert length == domain.length


def test_the_population_follows_the_oldest_out(strings, counted):
    """Invariance: after every step the population holds the last to come, never more than its size."""
    algorithm = started(RegularisedEvolution(population=12, tournament=4), strings(20), np.random.default_rng(0))
    trace = search(algorithm, counted(), 60, step=8)
    for done, population in trace.steps[2:]:
        assert population == tuple(one.candidate for one in trace.history[:done][-12:])


def test_a_failed_candidate_never_wins(algorithm, strings, counted):
    """Invariance: the best string fails; it is kept with its status, is never picked, and nothing stops."""
    evaluate = counted(2, failing=(1,) * 5)
    trace = search(algorithm(strings(5), np.random.default_rng(0)), evaluate, 32, patience=500)
    best = pick(trace.history, first_value)
    assert best is not None and trace.history[best].candidate != (1,) * 5
    assert {one.status for one in trace.history} <= {"ok", "error"}


def test_nsga2_finds_the_front(strings, counted):
    """Slow reference: the front over all 256 strings, where more ones cost more of the second objective."""
    domain, evaluate = strings(8), counted(2)
    every = evaluate([tuple(int(bit) for bit in f"{number:08b}") for number in range(256)])
    points = np.array([one.values for one in every])
    true = {tuple(points[place]) for place in front(points)}
    trace = search(started(NSGA2(population=16), domain, np.random.default_rng(0)), counted(2), 160)
    found = np.array([one.values for one in trace.history])
    assert {tuple(found[place]) for place in front(found)} == true


def test_the_curve_is_the_pick_of_every_prefix(strings, counted):
    """Slow reference: after each step the first best of all that was evaluated until then."""
    trace = search(started(RandomSearch(), strings(10), np.random.default_rng(4)), counted(), 60, step=5)
    points = dict(curve(trace, first_value))
    last = None
    for done, _ in trace.steps:
        values = [one.values[0] for one in trace.history[:done]]
        last = points.get(done, last)
        assert last == values.index(max(values))


def test_nothing_to_pick():
    """Closed form: no value, no pick."""
    assert pick([Evaluated("a", (float("nan"),), "error")], first_value) is None
    assert pick([], first_value) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda problem: RegularisedEvolution(population=4, tournament=8), "A tournament of 8 in a population of 4"),
        (lambda problem: RegularisedEvolution(crossover=1.5), "crossover=1.5"),
        (lambda problem: NSGA2().start(problem), "NSGA-II was given 1 objective"),
    ],
)
def test_settings_out_of_range(make, message, strings):
    """Closed form: the message says what was given and what was expected."""
    with pytest.raises(SearchError, match=message):
        make(SearchProblem(strings(4), np.random.default_rng(0)))


@pytest.mark.parametrize("choice", [RegularisedEvolution(population=36, tournament=8), NSGA2(population=36)])
def test_a_population_larger_than_the_space(choice, strings, counted):
    """Closed form: 16 candidates for a population of 36, said with both numbers."""
    with pytest.raises(SearchError, match=r"population of 36 was asked for, and only 16 different"):
        search(started(choice, strings(4), np.random.default_rng(0)), counted(2), 100)


@pytest.mark.parametrize("options", [{"evaluations": 0}, {"evaluations": 5, "step": 0}])
def test_budgets_of_the_loop(options, strings, counted):
    """Closed form: nothing can be done with none."""
    with pytest.raises(SearchError, match="Expected a whole number of at least 1"):
        search(started(RandomSearch(), strings(4), np.random.default_rng(0)), counted(), **options)


def test_one_choice_of_options_starts_many_searches(algorithm, strings, counted):
    """Invariance: what one search remembers is not there for the next; the object itself holds options alone."""
    histories = [
        [one.candidate for one in search(algorithm(strings(8), np.random.default_rng(5)), counted(2), 40).history]
        for _ in range(2)
    ]
    assert histories[0] == histories[1]
    assert all(vars(choice) == choice.options() for choice in CHOICES)


def test_algorithms_by_name():
    """Closed form: options in parentheses and options that are given; what an algorithm does not have is refused."""
    assert named("evolution(population=20)", {"tournament": 5}) == RegularisedEvolution(20, 5)
    assert named("nsga2(crossover=1)").options() == {"population": 36, "crossover": 1}
    for text, given, message in (
        ("random", {"population": 7}, "'population' is no known option of the search algorithm 'random'"),
        (
            "nsga2(tournament=3)",
            {},
            "'tournament' is no known option of the search algorithm 'nsga2'. Known: crossover",
        ),
        ("evolution(population='many')", {}, "population='many' was given .* Expected a int"),
        ("evolution(population=1.5)", {}, "Expected a int, such as 36"),
        ("evolution(", {}, "cannot be read"),
        ("evolutoin", {}, "Did you mean 'evolution'"),
    ):
        with pytest.raises(ZcbenchError, match=message):
            named(text, given)
    assert ALGORITHMS.names() == ["evolution", "local", "nsga2", "random"]
