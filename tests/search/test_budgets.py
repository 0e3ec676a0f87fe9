"""Budgets and costs: what may be proposed, and what is said where nothing may."""

from collections import Counter
from itertools import zip_longest

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import zcbench.spaces
from zcbench.errors import UnknownNameError
from zcbench.search import BudgetError, Costs, LatencyTable, SearchError, Timing, architectures, quantity
from zcbench.search.algorithms.random_search import draw_new
from zcbench.search.latency import table_name
from zcbench.spaces.product import ProductSpace, Site


class Digits(ProductSpace):
    """Lists of six digits; their sum stands for the parameters, its distance from 50 for the MACs."""

    name = spec = "digits"
    label, example = "list of digits", "1" * 6
    sites = tuple(Site(f"digit {place}", tuple("123456789")) for place in range(6))
    separators, lengths = ("",) * 5, (6,)

    def network(self, values, image_shape, num_classes):
        raise NotImplementedError

    def costs(self, archs, num_classes=10, image_shape=(3, 32, 32)):
        sums = [sum(map(int, arch)) for arch in archs]
        rows = {"arch": list(archs), "params": sums, "macs": [abs(50 - total) for total in sums]}
        return pd.DataFrame(rows).assign(n_convs=1, depth=1, width=1)

    def _split(self, text):
        return list(text)


WHOLE = "nasbench201(channels=16,cells=5)"


@pytest.fixture(scope="module")
def whole():
    return zcbench.spaces.get("nasbench201")


@pytest.fixture(scope="module")
def table(whole):
    """Invented latencies that fall with the index, and every tenth architecture not measurable."""
    latency = [np.nan if place % 10 == 0 else 20 - place / 1000 for place in range(len(whole))]
    return pd.DataFrame({"arch": list(whole), "toy_latency": latency, "toy_energy": 1.0})


def test_all_that_is_drawn_and_changed_fits(space):
    """Invariance: draws, mutations, crossings and neighbours keep within all limits."""
    costs = space.costs(space).set_index("arch")
    limits = {"params": float(costs["params"].quantile(0.2)), "depth": 8.0}
    domain, rng = architectures(Costs(space), limits), np.random.default_rng(0)
    some = [domain.sample(rng) for _ in range(60)]
    some += [domain.mutate(arch, rng) for arch in some] + [domain.crossover(*some[i : i + 2], rng) for i in range(50)]
    some += domain.neighbours(some[0])
    assert (costs.loc[some, "params"] <= limits["params"]).all()
    assert (costs.loc[some, "depth"] <= 8).all()


def test_draws_within_a_budget_are_uniform(space):
    """Slow reference: of those that fit each number of parameters has its share, within 5 standard errors."""
    params = space.costs(space).set_index("arch")["params"]
    limit = float(params.quantile(0.3))
    domain, rng = architectures(Costs(space), {"params": limit}), np.random.default_rng(0)
    drawn = params[[domain.sample(rng) for _ in range(600)]]
    fitting = params[params <= limit]
    for value in fitting.unique():
        share = (fitting == value).mean()
        assert abs((drawn == value).mean() - share) < 5 * np.sqrt(share * (1 - share) / 600)


def test_mutation_is_uniform_over_the_neighbours_that_fit(space):
    """Slow reference: every neighbour within the budget comes up, and no other."""
    params = space.costs(space).set_index("arch")["params"]
    domain, rng = architectures(Costs(space), {"params": float(params.median())}), np.random.default_rng(1)
    arch = domain.sample(rng)
    expected = {other for other in space.neighbours(arch) if params[other] <= params.median()}
    assert {domain.mutate(arch, rng) for _ in range(800)} == expected


def test_a_tight_budget_is_reached_by_small_changes():
    """Closed form: of 531,441 lists with sums from 6 to 54 only seven have at most 7; all draws do."""
    domain, rng = architectures(Costs(Digits()), {"params": 7.0}), np.random.default_rng(0)
    drawn = [domain.sample(rng) for _ in range(4)]
    assert all(sum(map(int, arch)) <= 7 for arch in drawn) and len(set(drawn)) > 1
    assert all(sum(map(int, domain.mutate(arch, rng))) <= 7 for arch in drawn)


def test_two_limits_that_exclude_each_other():
    """Closed form: a small sum and a small difference from 50 cannot be had together; both smallest are named."""
    with pytest.raises(BudgetError, match=r"params ≤ 7 parameters and macs ≤ 10 MACs .* params 6 .*; macs 0 MACs") as e:
        architectures(Costs(Digits()), {"params": 7.0, "macs": 10.0})
    sums = np.arange(6, 55)
    excess = np.maximum(0, sums / 7 - 1) + np.maximum(0, np.abs(50 - sums) / 10 - 1)
    nearest = int(str(e.value).partition("at once is ")[2].partition(": params ")[2].partition(" ")[0])
    assert excess[sums == nearest] == excess.min()


def test_no_limit_and_nothing_that_can_be_measured(whole, table):
    """Closed form: of ten listed cells none can be measured; the message names the cost, and no limit."""
    costs = Costs(whole, measures={"latency": LatencyTable(table, "toy", "latency", whole)})
    with pytest.raises(BudgetError, match="Nothing in what is listed has a known latency: 10 architectures"):
        architectures(costs, needed=["latency"], within=[whole[place] for place in range(0, 100, 10)])


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_a_budget_that_nothing_satisfies(space, cost):
    """Slow reference: the message has the smallest value of the whole space."""
    smallest = int(space.costs(space)[cost].min())
    with pytest.raises(BudgetError, match=f"smallest values found are {cost} {smallest:,} "):
        architectures(Costs(space), {cost: smallest - 1.0})
    assert architectures(Costs(space), {cost: float(smallest)}).fits(space[int(space.costs(space)[cost].argmin())])


def test_a_budget_that_nothing_in_a_list_satisfies(space):
    """Closed form: of two given architectures the smaller is named."""
    two = sorted(space.sample(np.random.default_rng(0), 2), key=space.params)
    with pytest.raises(BudgetError) as error:
        architectures(Costs(space), {"params": 10.0}, within=two)
    assert two[0] in str(error.value) and "what is listed" in str(error.value)


def test_only_what_is_listed_is_proposed(space):
    """Invariance: draws and mutations stay in the list, and reach all of it."""
    listed = space.sample(np.random.default_rng(0), 12)
    domain, rng = architectures(Costs(space), within=listed), np.random.default_rng(1)
    arch, seen = domain.sample(rng), set()
    for _ in range(300):
        arch = domain.mutate(arch, rng)
        seen.add(arch)
    assert seen == set(listed)


@pytest.mark.parametrize("name", ["nasbench201", "autoformer"])
def test_a_listed_child_is_one_of_the_nearest(name):
    """Slow reference: as many as the space has neighbours, in ascending numbers of choices that differ; uniform."""
    space, rng = zcbench.spaces.get(name), np.random.default_rng(3)
    listed = space.sample(rng, 150)
    domain, parent = architectures(Costs(space), within=listed), listed[7]

    def differing(arch):
        return sum(one != other for one, other in zip_longest(space.parse(arch), space.parse(parent)))

    others = sorted((arch for arch in listed if arch != parent), key=differing)
    n = min(len(space.neighbours(parent)), len(others))
    farthest = differing(others[n - 1])
    surely = [arch for arch in others if differing(arch) < farthest]
    equal = [arch for arch in others if differing(arch) == farthest]
    drawn = pd.Series([domain.mutate(parent, rng) for _ in range(4000)]).value_counts() / 4000
    for archs, share in ((surely, 1 / n), (equal, (n - len(surely)) / n / len(equal))):
        for arch in archs:
            assert abs(drawn.get(arch, 0) - share) < 5 * np.sqrt(share / 4000)
    assert set(drawn.index) <= {*surely, *equal}
    assert list(map(differing, domain.neighbours(parent))) == sorted(map(differing, others))[:n]


def test_of_all_that_is_listed_the_nearest_are_the_neighbours(space):
    """Closed form: a list of the whole space changes no neighbourhood."""
    listed = architectures(Costs(space), within=list(space))
    for arch in space.sample(np.random.default_rng(5), 3):
        assert set(listed.neighbours(arch)) == set(space.neighbours(arch))


def test_all_that_fits_is_drawn(space):
    """Closed form: random search of a list, and of a budget, ends when it has all; the coupon collector is helped."""
    params = space.costs(space).set_index("arch")["params"]
    limit = float(params.nsmallest(300).max())
    listed = space.sample(np.random.default_rng(0), 400)
    for domain in (architectures(Costs(space), within=listed), architectures(Costs(space), {"params": limit})):
        every = domain.everything()
        for seed in range(3):
            seen = {}
            drawn = draw_new(domain, np.random.default_rng(seed), 20_000, seen)
            assert len(drawn) == len(set(drawn)) and set(drawn) == set(every) == set(seen)
    assert set(every) == set(params.index[params <= limit])
    assert architectures(Costs(zcbench.spaces.get("autoformer"))).everything() is None


def test_what_a_device_cannot_run_is_never_proposed(whole, table):
    """Invariance: without a measured latency nothing fits, limited or minimised; how many those are is told."""
    latency = LatencyTable(table, "toy", "latency", whole)
    assert latency.about["not measurable"] == 1563
    costs, rng = Costs(whole, measures={"latency": latency}), np.random.default_rng(0)
    for domain in (architectures(costs, {"latency": 12.0}), architectures(costs, needed=["latency"])):
        drawn = [domain.sample(rng) for _ in range(50)]
        assert np.isfinite(latency(drawn)).all()
    assert (latency([architectures(costs, {"latency": 12.0}).sample(rng) for _ in range(20)]) <= 12).all()


def test_a_latency_that_nothing_has(whole, table):
    """Closed form: 20 - 15.624 ms is the least; a limit of 1 ms names it, and one of it is satisfied."""
    costs = Costs(whole, measures={"latency": LatencyTable(table, "toy", "latency", whole)})
    with pytest.raises(BudgetError, match=r"latency ≤ 1 ms .* smallest values found are latency 4\.376 ms"):
        architectures(costs, {"latency": 1.0})
    assert architectures(costs, {"latency": 4.3765}).everything() == (whole[15_624],)


def test_tables_of_another_space_or_device(space, whole, table):
    """Closed form: the space and the devices that there are stand in the message."""
    with pytest.raises(SearchError, match="are about nasbench201"):
        LatencyTable(table, "toy", "latency", space)
    with pytest.raises(UnknownNameError, match="'toy'"):
        LatencyTable(table, "tou", "latency", whole)
    assert table_name("raspi4", "cifar100") == ("raspi4", "cifar100")
    assert whole.spec == WHOLE


def test_times_are_taken_once_and_kept(space, tmp_path):
    """Invariance: a second clock with the same file gives the same times without building; another task is refused."""
    archs, file = space.sample(np.random.default_rng(0), 3), tmp_path / "timings.jsonl"
    first = Timing(space, 10, (3, 16, 16), file)(archs)
    again = Timing(space, 10, (3, 16, 16), file)
    assert (again(archs) == first).all() and (first > 0).all()
    assert len(file.read_text().splitlines()) == 4
    with pytest.raises(SearchError, match="holds times of"):
        Timing(space, 100, (3, 16, 16), file)
    with file.open("a") as lines:
        lines.write('{"arch": "cut o')
    assert (Timing(space, 10, (3, 16, 16), file)(archs) == first).all()
    for kept in (b"", b'{"dev'):  # a process that ended before its first line was whole
        file.write_bytes(kept)
        Timing(space, 10, (3, 16, 16), file)(archs[:1])
        assert len(file.read_text().splitlines()) == 2
        assert Timing(space, 10, (3, 16, 16), file)(archs[:1]) > 0
    file.write_text("nothing\n")
    with pytest.raises(SearchError, match="holds no times"):
        Timing(space, 10, (3, 16, 16), file)


def test_sizes_equal_those_of_the_space(space):
    """Slow reference: one architecture at a time, for the task that was given."""
    costs, archs = Costs(space, 100, (3, 16, 16)), space.sample(np.random.default_rng(2), 4)
    assert costs.column("params", archs).tolist() == [space.params(arch, 100, (3, 16, 16)) for arch in archs]
    assert costs.of(archs[0], ["macs"]) == {"macs": space.macs(archs[0], 100, (3, 16, 16))}
    with pytest.raises(UnknownNameError, match="cost"):
        costs.column("parms", archs)


@pytest.mark.parametrize(("text", "value"), [("1.0M", 1e6), ("250k", 2.5e5), ("1.2G", 1.2e9), ("18", 18.0)])
def test_quantities(text, value):
    """Closed form."""
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "M", "1,5M", "-3k", "0", "nan", "inf"])
def test_no_quantities(text):
    """Closed form: what is no number above 0 is named."""
    with pytest.raises(SearchError, match="was given as a limit"):
        quantity(text)


@pytest.mark.parametrize("shares", [{}, {"params": 0.3}, {"macs": 0.01}, {"macs": 0.5, "depth": 0.4}])
def test_only_the_subset_is_proposed(space, shares):
    """By construction: draws, mutants, children and neighbours are live and fit; all that are is listed in order."""
    limits = {name: float(space.costs(space)[name].quantile(share)) for name, share in shares.items()}
    domain, rng = architectures(Costs(space), limits, subset="live"), np.random.default_rng(2)
    live = set(space.subset("live"))
    table = space.costs(space).set_index("arch")
    fits = [
        arch for arch in space if arch in live and all(table.loc[arch, name] <= most for name, most in limits.items())
    ]
    assert list(domain.everything()) == fits
    present = domain.sample(rng)
    for _ in range(200):
        other = domain.sample(rng)
        for arch in (other, domain.mutate(present, rng), domain.crossover(present, other, rng)):
            assert domain.fits(arch) and arch in live
        assert set(domain.neighbours(present)) == set(space.neighbours(present)) & set(fits)
        present = domain.mutate(present, rng)
    assert not domain.fits(next(arch for arch in space if arch not in live))


def test_draws_from_a_subset_are_uniform(space):
    """Closed form: a chi-square test over all cells of the subset that fit."""
    limit = float(space.costs(space)["params"].quantile(0.1))
    domain, rng = architectures(Costs(space), {"params": limit}, subset="live"), np.random.default_rng(0)
    fits, n = list(domain.everything()), 12_000
    drawn = Counter(domain.sample(rng) for _ in range(n))
    assert set(drawn) <= set(fits)
    expected = n / len(fits)
    statistic = sum((drawn[arch] - expected) ** 2 / expected for arch in fits)
    assert chi2.sf(statistic, len(fits) - 1) > 0.001


def test_a_budget_that_nothing_live_satisfies(space):
    """The smallest value in the message is that of the subset, here of the live cells; an unknown subset is refused."""
    with pytest.raises(BudgetError, match="smallest values found are params"):
        architectures(Costs(space), {"params": 10}, subset="live")
    with pytest.raises(UnknownNameError, match="live"):
        architectures(Costs(space), subset="alive")
    with pytest.raises(UnknownNameError, match="price"):
        architectures(Costs(space), needed=["price"])
