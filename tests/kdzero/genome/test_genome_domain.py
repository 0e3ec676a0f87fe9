"""The space of genomes."""

from itertools import product

import numpy as np
import pytest

from zcbench.distill import Shapes
from zcbench.kdzero.genome import (
    CALIBRATIONS,
    DISTANCES,
    KNOWN,
    PARTS,
    TEMPERATURES,
    TRANSFORMS,
    WEIGHTS,
    Genome,
    GenomeDomain,
    GenomeError,
)
from zcbench.search.algorithms.loop import Evaluated, SearchProblem, search
from zcbench.search.algorithms.regularised_evolution import RegularisedEvolution

SMALL = Shapes(classes=10, width=8, features=(8, 2, 2))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def domain() -> GenomeDomain:
    return GenomeDomain()


def genes(genome: Genome) -> list[str]:
    return [name for _, name in genome.operations()]


def test_length_is_the_number_of_genomes() -> None:
    """Slow independent count: every combination of a small space, tried one by one."""
    transforms = ("no", "satt", "softmax_C", "channel", "mm", "norm_HW", "batch", "local_r2")
    domain = GenomeDomain(transforms=transforms, weights=[1, 10], temperatures=[4], pair=(SMALL, SMALL))
    count = 0
    for name, first, second, third, distance in product(
        ("features", "embedding", "logits"), *[transforms] * 3, DISTANCES
    ):
        try:
            Genome(name, (first, second, third), distance).require_fit(SMALL, SMALL)
        except GenomeError:
            continue
        count += 1
    assert len(domain) == count * 2 * len(CALIBRATIONS)


def test_the_whole_space_is_large(domain: GenomeDomain) -> None:
    """Published: more than 10,000 candidates; fewer than all combinations, for not all make sense."""
    most = 3 * len(TRANSFORMS) ** 3 * len(DISTANCES) * len(WEIGHTS) * len(TEMPERATURES) * len(CALIBRATIONS)
    assert 10_000 < len(domain) < most


def test_draws_fit(domain: GenomeDomain) -> None:
    """Property: 1,000 draws are genomes of the space, for any networks and for small ones; a seed names them."""
    small = GenomeDomain(pair=(SMALL, SMALL))
    for space in (domain, small):
        source = rng()
        drawn = [space.sample(source) for _ in range(500)]
        assert all(genome in space for genome in drawn)
        again = rng()
        assert drawn == [space.sample(again) for _ in range(500)]
    for genome in drawn:
        genome.require_fit(SMALL, SMALL)
    assert len(small) < len(domain)


def test_every_operation_is_drawn(domain: GenomeDomain) -> None:
    """Property: in 4,000 draws everything comes up."""
    source = rng()
    seen = {operation for _ in range(4000) for operation in domain.sample(source).operations()}
    assert {name for part, name in seen if part == "transform"} == set(TRANSFORMS)
    assert {name for part, name in seen if part == "distance"} == set(DISTANCES)
    assert {part for part, _ in seen} == set(PARTS)


def test_probabilities() -> None:
    """Closed form: 3 to 1 gives three quarters, within four standard errors; 0 never comes."""
    domain = GenomeDomain({"calibration": {"none": 3, "conf": 1, "focal": 0, "sim": 0, "entropy": 0}})
    source = rng()
    drawn = [domain.sample(source).calibration for _ in range(2000)]
    assert set(drawn) == {"none", "conf"}
    assert drawn.count("none") / 2000 == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 2000) ** 0.5)


def test_mutation_changes_one_gene(domain: GenomeDomain) -> None:
    """Property: one of the eight genes differs, the child is of the space, and every part is mutated some time."""
    source, changed = rng(), set()
    for _ in range(500):
        parent = domain.sample(source)
        child = domain.mutate(parent, source)
        differing = [i for i, (a, b) in enumerate(zip(genes(parent), genes(child))) if a != b]
        assert len(differing) == 1 and child in domain
        changed.add(parent.operations()[differing[0]][0])
    assert changed == set(PARTS)


def test_crossover_takes_each_gene_from_a_parent(domain: GenomeDomain) -> None:
    """Property: as stated; the child fits; it is unlike both where the parents differ enough."""
    source, new = rng(), 0
    for _ in range(300):
        first, second = domain.sample(source), domain.sample(source)
        child = domain.crossover(first, second, source)
        assert all(gene in pair for gene, *pair in zip(genes(child), genes(first), genes(second)))
        assert domain.fits(child)
        new += child not in (first, second)
    assert new > 280
    assert domain.crossover(first, first, source) == first


def test_neighbours(domain: GenomeDomain) -> None:
    """Slow independent list: all that differ in one gene, found by trying every operation in every place."""
    genome = KNOWN["sp"]
    expected = set()
    for place in range(3):
        for name in TRANSFORMS:
            transforms = (*genome.transforms[:place], name, *genome.transforms[place + 1 :])
            expected.add(("features", transforms, "l2", 1.0, 1.0, "none"))
    expected |= {(n, genome.transforms, "l2", 1.0, 1.0, "none") for n in ("embedding", "logits")}
    expected |= {("features", genome.transforms, d, 1.0, 1.0, "none") for d in DISTANCES}
    expected |= {("features", genome.transforms, "l2", w, 1.0, "none") for w in WEIGHTS}
    expected |= {("features", genome.transforms, "l2", 1.0, t, "none") for t in TEMPERATURES}
    expected |= {("features", genome.transforms, "l2", 1.0, 1.0, c) for c in CALIBRATIONS}
    made = set()
    for arguments in expected:
        try:
            made.add(Genome(*arguments))  # type: ignore[arg-type]
        except GenomeError:
            continue
    found = domain.neighbours(genome)
    assert len(found) == len(set(found)) and set(found) == made - {genome}


def test_restricted_spaces() -> None:
    """Closed form: what is kept is all that comes; a space of one genome has one, and no neighbour in it."""
    domain = GenomeDomain().restricted(input=["logits"], transform=["no"], distance=["kl", "l2"], weight=[1, "10"])
    assert len(domain) == 2 * 2 * 3 * 5
    single = domain.restricted(distance=["kl"], weight=[1], temperature=[4], calibration=["none"])
    assert len(single) == 1 and single.sample(rng()) == KNOWN["kd"] and KNOWN["kd"] in single
    assert KNOWN["sp"] not in single and "kd" not in single
    with pytest.raises(GenomeError, match="no neighbour"):
        single.mutate(KNOWN["kd"], rng())
    assert len(domain.reweighted({"distance": {"l2": 0}})) == len(domain) / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probabilities": {"transform": dict.fromkeys(TRANSFORMS, 0)}}, "No genome is left.*0 of transform"),
        ({"distances": ()}, "No genome is left.*0 of distance"),
        ({"inputs": ["logits"], "transforms": ["norm_HW"]}, "No genome is left"),
        ({"inputs": ["features"], "pair": (Shapes(classes=3), Shapes(classes=3))}, "fits the pair"),
        ({"probabilities": {"transforms": {"no": 1}}}, "'transforms' is no part.*'transform'"),
        ({"probabilities": {"transform": {"noo": 1}}}, "'noo' is no known transform.*'no'"),
        ({"probabilities": {"transform": {"no": -1}}}, "probability -1 of the transform 'no'"),
        ({"probabilities": {"transform": {"no": float("nan")}}}, "probability nan"),
        ({"weights": [3]}, "'3' is no known weight"),
    ],
)
def test_bad_spaces(arguments: dict[str, object], message: str) -> None:
    """Bad input: a space emptied, also by what fits; names that are not known; probabilities that are none."""
    with pytest.raises(GenomeError, match=message):
        GenomeDomain(**arguments)  # type: ignore[arg-type]


def test_a_space_emptied_later() -> None:
    """Bad input: shrinking a space until nothing is left says so."""
    with pytest.raises(GenomeError, match=r"No genome is left.*shrink less"):
        GenomeDomain().restricted(input=["logits"], transform=["bmm"])
    with pytest.raises(GenomeError, match="'distanze' is no part"):
        GenomeDomain().restricted(distanze=["l2"])


def test_it_is_the_domain_of_a_search(domain: GenomeDomain) -> None:
    """By construction: evolution finds better genomes than it began with, where a made-up fitness counts good parts."""

    def evaluate(group: list[Genome]) -> list[Evaluated[Genome]]:
        wanted = genes(KNOWN["kd"])
        return [Evaluated(one, (float(sum(a == b for a, b in zip(genes(one), wanted))),)) for one in group]

    algorithm = RegularisedEvolution(10, 4, 0.5).start(SearchProblem(domain, rng()))
    trace = search(algorithm, evaluate, 150)  # type: ignore[arg-type]
    values = [one.values[0] for one in trace.history]
    assert len(values) == 150 and max(values[100:]) > max(values[:10])


def test_other_probabilities_bring_nothing_back() -> None:
    """Invariance: what was left out of the space is not in it again, and no genome is lost."""
    space = GenomeDomain(inputs=["logits"], transforms=["no", "softmax_C"], weights=[1.0])
    again = space.reweighted({"transform": {"no": 0.5}})
    assert len(again) == len(space)
    drawn = [again.sample(np.random.default_rng(seed)) for seed in range(30)]
    assert {genome.input for genome in drawn} == {"logits"} and {genome.weight for genome in drawn} == {1.0}
