"""The space of genomes: samples, mutations, crossovers and neighbours, all of them valid genomes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from zcbench.distill.outputs import Shapes
from zcbench.errors import nearest
from zcbench.kdzero.genome.axes import Shape
from zcbench.kdzero.genome.errors import GenomeError
from zcbench.kdzero.genome.fitting import after, compares, input_shape, trouble
from zcbench.kdzero.genome.formula import number
from zcbench.kdzero.genome.genome import Genome
from zcbench.kdzero.genome.tables import CALIBRATIONS, DISTANCES, INPUTS, PARTS, TEMPERATURES, TRANSFORMS, WEIGHTS

Probabilities = Mapping[str, Mapping[str, float]]

_ALL: dict[str, tuple[str, ...]] = {
    "input": tuple(INPUTS),
    "transform": tuple(TRANSFORMS),
    "distance": tuple(DISTANCES),
    "weight": tuple(map(number, WEIGHTS)),
    "temperature": tuple(map(number, TEMPERATURES)),
    "calibration": tuple(CALIBRATIONS),
}

#: The genes: one for every part, three for the transforms.
GENES: tuple[tuple[str, int], ...] = tuple(
    (part, place) for part in PARTS for place in range(3 if part == "transform" else 1)
)


class GenomeDomain:
    """Genomes that fit a pair of networks, or that would fit some pair.

    Args:
        probabilities: for a part, how likely each operation is against the others of that part: 1 where not given, 0
            takes it out of the space.
        inputs: names of `INPUTS` that are in the space.
        transforms: names of `TRANSFORMS`.
        distances: names of `DISTANCES`.
        weights: some of `WEIGHTS`.
        temperatures: some of `TEMPERATURES`.
        calibrations: names of `CALIBRATIONS`.
        pair: shapes of student and teacher; only genomes that fit them are in the space.
        mixed: whether a calibration, which reads the logits, may weigh maps or embeddings; in a segmentation the logits
            are rows of pixels, and it may not.

    Raises:
        GenomeError: an operation or part that is not known, a probability that is negative or not finite, or nothing
            is left in the space.
    """

    def __init__(
        self,
        probabilities: Probabilities | None = None,
        inputs: Iterable[str] = tuple(INPUTS),
        transforms: Iterable[str] = tuple(TRANSFORMS),
        distances: Iterable[str] = tuple(DISTANCES),
        weights: Iterable[float] = WEIGHTS,
        temperatures: Iterable[float] = TEMPERATURES,
        calibrations: Iterable[str] = tuple(CALIBRATIONS),
        pair: tuple[Shapes, Shapes] | None = None,
        *,
        mixed: bool = True,
    ) -> None:
        named = (inputs, transforms, distances, map(number, weights), map(number, temperatures), calibrations)
        allowed = {part: tuple(names) for part, names in zip(PARTS, named, strict=True)}
        self.pair, self.mixed = pair, mixed
        self.probabilities = _checked(allowed, probabilities or {})
        self._ways: dict[tuple[Shape, int], int] = {}
        if not len(self):
            raise GenomeError(
                f"No genome is left in the space{'' if pair is None else ' that fits the pair'}: "
                f"{_counts(self.probabilities)}. Expected at least one operation of each part that fits the others; "
                f"allow more, or shrink less."
            )

    def restricted(self, **operations: Iterable[str | float]) -> "GenomeDomain":
        """The space with these operations alone, by part: ``restricted(transform=["no"], weight=[1])``.

        Raises:
            GenomeError: as for the space itself.
        """
        chosen = {part: {_text(name) for name in names} for part, names in operations.items()}
        for part, names in chosen.items():
            for name in names:
                _require_known(part, name)
        kept = {
            part: {name: share if name in chosen.get(part, {name}) else 0.0 for name, share in shares.items()}
            for part, shares in self.probabilities.items()
        }
        return self.reweighted(kept)

    def reweighted(self, probabilities: Probabilities) -> "GenomeDomain":
        """The same space with other probabilities; operations that are not named keep theirs."""
        merged = {
            part: {
                **dict.fromkeys(_ALL[part], 0.0),  # operations that are not in the space stay out
                **shares,
                **{_text(name): share for name, share in probabilities.get(part, {}).items()},
            }
            for part, shares in self.probabilities.items()
        }
        rest = {part: shares for part, shares in probabilities.items() if part not in merged}
        return GenomeDomain(merged | rest, pair=self.pair, mixed=self.mixed)

    def __len__(self) -> int:
        """Number of genomes with a positive probability."""
        others = len(self._possible("weight")) * len(self._possible("temperature"))
        ways = {name: self._completions(shape, 3) for name, shape in self._inputs().items()}
        return others * sum(count * len(self._calibrations(name)) for name, count in ways.items())

    def __contains__(self, genome: object) -> bool:
        if not isinstance(genome, Genome) or not self.fits(genome):
            return False
        return all(self.probabilities[part].get(name, 0) > 0 for part, name in genome.operations())

    def __iter__(self) -> Iterator[Genome]:
        raise GenomeError(f"The space has {len(self):,} genomes and is not listed. Draw from it with sample(rng).")

    def everything(self) -> None:
        """None: the genomes are too many to be listed."""

    def fits(self, genome: Genome) -> bool:
        """Whether a genome can be computed between the pair."""
        shape = input_shape(genome.input, self.pair)
        if shape is None or genome.calibration not in self._allowed(genome.input):
            return False
        return not trouble(genome.transforms, genome.distance, shape)

    def sample(self, rng: np.random.Generator) -> Genome:
        """A genome drawn part by part, each by its probabilities among the operations that leave a way to the end."""
        inputs = self._inputs()
        chosen = [self._draw("input", [name for name, shape in inputs.items() if self._completions(shape, 3)], rng)]
        shape = inputs[chosen[0]]
        for left in (2, 1, 0):
            onward = {name: after(name, shape) for name in self._possible("transform")}
            open_ = {name: end for name, end in onward.items() if end is not None and self._completions(end, left)}
            chosen.append(self._draw("transform", list(open_), rng))
            shape = open_[chosen[-1]]
        chosen.append(self._draw("distance", [d for d in self._possible("distance") if compares(d, shape)], rng))
        chosen += [self._draw(part, self._possible(part), rng) for part in ("weight", "temperature")]
        chosen.append(self._draw("calibration", self._calibrations(chosen[0]), rng))
        return _of_genes(chosen)

    def mutate(self, candidate: Genome, rng: np.random.Generator) -> Genome:
        """The genome with one gene changed: a part, or one of the three transforms.

        Raises:
            GenomeError: it has no neighbour.
        """
        for index in rng.permutation(len(GENES)):
            others = self._others(candidate, int(index))
            if others:
                part = GENES[index][0]
                return others[self._draw(part, list(others), rng)]
        raise GenomeError(f"{candidate.formula!r} has no neighbour in the space. Allow more operations.")

    def crossover(self, first: Genome, second: Genome, rng: np.random.Generator) -> Genome:
        """A genome that has each gene from one parent or the other; unlike both wherever that is possible."""
        genes = [_genes(first), _genes(second)]
        for mask in rng.permutation(range(1, 2 ** len(GENES) - 1)):
            picked = [genes[mask >> place & 1][place] for place in range(len(GENES))]
            if picked in genes:
                continue
            child = self._made(picked)
            if child is not None:
                return child
        return (first, second)[int(rng.integers(2))]

    def neighbours(self, candidate: Genome) -> Sequence[Genome]:
        """All genomes of the space that differ in one gene."""
        return [other for index in range(len(GENES)) for other in self._others(candidate, index).values()]

    def _others(self, genome: Genome, index: int) -> dict[str, Genome]:
        """What stands for each other operation of a gene, as far as it fits."""
        genes, found = _genes(genome), {}
        for name in self._possible(GENES[index][0]):
            other = self._made([*genes[:index], name, *genes[index + 1 :]])
            if name != genes[index] and other is not None:
                found[name] = other
        return found

    def _made(self, genes: Sequence[str]) -> Genome | None:
        shape = input_shape(genes[0], self.pair)
        fits = shape is not None and genes[7] in self._allowed(genes[0]) and not trouble(genes[1:4], genes[4], shape)
        return _of_genes(genes) if fits else None

    def _inputs(self) -> dict[str, Shape]:
        able = [name for name in self._possible("input") if self._calibrations(name)]
        shapes = {name: input_shape(name, self.pair) for name in able}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    def _allowed(self, input: str) -> tuple[str, ...]:
        """Calibrations that an input may have."""
        reads = {name: CALIBRATIONS[name].reads - {input} for name in CALIBRATIONS}
        return tuple(name for name, others in reads.items() if self.mixed or not others)

    def _calibrations(self, input: str) -> list[str]:
        allowed = self._allowed(input)
        return [name for name in self._possible("calibration") if name in allowed]

    def _possible(self, part: str) -> list[str]:
        return [name for name, share in self.probabilities[part].items() if share > 0]

    def _completions(self, shape: Shape, left: int) -> int:
        """In how many ways ``left`` transforms and a distance can follow."""
        if (shape, left) not in self._ways:
            if left:
                ends = (after(name, shape) for name in self._possible("transform"))
                ways = sum(self._completions(end, left - 1) for end in ends if end is not None)
            else:
                ways = sum(compares(name, shape) for name in self._possible("distance"))
            self._ways[shape, left] = ways
        return self._ways[shape, left]

    def _draw(self, part: str, names: Sequence[str], rng: np.random.Generator) -> str:
        shares = np.array([self.probabilities[part][name] for name in names], dtype=float)
        return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def _text(name: str | float) -> str:
    return name if isinstance(name, str) else number(name)


def _genes(genome: Genome) -> list[str]:
    return [name for _, name in genome.operations()]


def _of_genes(genes: Sequence[str]) -> Genome:
    made = Genome(genes[0], tuple(genes[1:4]), genes[4])
    return replace(made, weight=float(genes[5]), temperature=float(genes[6]), calibration=genes[7])


def _checked(allowed: Mapping[str, tuple[str, ...]], given: Probabilities) -> dict[str, dict[str, float]]:
    for part in given:
        if part not in PARTS:
            raise GenomeError(f"{part!r} is no part of a genome. {nearest(part, PARTS)}")
    shares: dict[str, dict[str, float]] = {}
    for part, names in allowed.items():
        written = {_text(name): share for name, share in given.get(part, {}).items()}
        for name in (*names, *written):
            _require_known(part, name)
        shares[part] = {name: _share(part, name, written.get(name, 1.0)) for name in names}
    return shares


def _require_known(part: str, name: str) -> None:
    if name not in _ALL.get(part, ()):
        known = _ALL.get(part)
        what = f"{name!r} is no known {part} of a genome. {nearest(name, known)}" if known else ""
        raise GenomeError(what or f"{part!r} is no part of a genome. {nearest(part, PARTS)}")


def _share(part: str, name: str, share: float) -> float:
    if not isinstance(share, int | float) or not 0 <= share < float("inf"):
        raise GenomeError(f"Given the probability {share!r} of the {part} {name!r}. Expected a finite number from 0.")
    return float(share)


def _counts(shares: Mapping[str, Mapping[str, float]]) -> str:
    left = {part: sum(share > 0 for share in names.values()) for part, names in shares.items()}
    return ", ".join(f"{count} of {part}" for part, count in left.items())
