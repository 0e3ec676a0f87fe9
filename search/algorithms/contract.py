"""What a search algorithm is: one class that holds its own options, proposes candidates, and registers itself."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self, TypeVar

from zcbench.errors import unknown
from zcbench.registry import Registry, import_package
from zcbench.search.algorithms.loop import Algorithm, C, Evaluated, SearchError, SearchProblem
from zcbench.specification import SpecificationError, read_specification


@dataclass
class SearchAlgorithm(Algorithm[C]):
    """Base of all algorithms: a dataclass whose fields are its options, each with a default.

    An object by itself is a choice of options. `start` returns a copy that is set up for one search.

    Attributes:
        name: what it is registered as.
        needs_values: why ranks within a group are no fitness for it, as a clause; empty where they are.
        minimises: whether the costs that are to be small enter what it proposes.
    """

    name: ClassVar[str] = ""
    needs_values: ClassVar[str] = ""
    minimises: ClassVar[bool] = False

    @property
    def initial(self) -> int:
        """Candidates that are drawn at random before the first that depends on others."""
        return 0

    @property
    def living(self) -> Sequence[C]:
        """Candidates that the next proposals come from; none unless the algorithm says so."""
        return ()

    def options(self) -> dict[str, object]:
        """The options by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def start(self, problem: SearchProblem[C]) -> Self:
        """A copy that is ready to search ``problem``.

        Raises:
            SearchError: the options do not fit the problem.
        """
        running = copy.copy(self)
        running.setup(problem)
        return running

    @abstractmethod
    def setup(self, problem: SearchProblem[C]) -> None:
        """Prepare for one search: keep the problem, and make what the search will remember."""

    def tell(self, evaluated: Sequence[Evaluated[C]]) -> None:
        """Nothing is learned, unless the algorithm defines this."""


def _builtins() -> None:
    import_package("zcbench.search.algorithms")


ALGORITHMS: Registry[type[SearchAlgorithm[str]]] = Registry("search algorithm", "zcbench.algorithms", _builtins)

A = TypeVar("A", bound=type[SearchAlgorithm[str]])


def algorithm(name: str) -> Callable[[A], A]:
    """Register a `SearchAlgorithm` under ``name``, for `zcbench search --algorithm NAME`.

    Raises:
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: another class has this name.
    """

    def register(kind: A) -> A:
        own = kind.__module__.startswith("zcbench.search.")
        ALGORITHMS.add(name, kind, f"{kind.__module__}.{kind.__qualname__}", own=own)
        kind.name = name
        return kind

    return register


def named(text: str, given: Mapping[str, object] | None = None) -> SearchAlgorithm[str]:
    """The algorithm of a name, with options as in ``evolution(population=20)``, and with those that are ``given``.

    Raises:
        UnknownNameError: no algorithm has this name.
        SearchError: it has no such option, or an option is out of range.

    >>> named("evolution(population=20)", {"tournament": 5})
    RegularisedEvolution(population=20, tournament=5, crossover=0.0)
    """
    try:
        name, options = read_specification(text, example="evolution(population=20)")
    except SpecificationError as error:
        raise SearchError(str(error)) from None
    kind = ALGORITHMS.get(name)
    options = {**options, **(given or {})}
    known = kind().options()
    for option, value in options.items():
        _check_option(name, option, value, known)
    return kind(**options)


def _check_option(name: str, option: str, value: object, known: Mapping[str, object]) -> None:
    if option not in known:
        raise unknown(f"option of the search algorithm {name!r}", option, known)
    usual = known[option]
    fits = isinstance(value, int | float) if isinstance(usual, float) else isinstance(value, type(usual))
    if not fits or isinstance(value, bool) != isinstance(usual, bool):
        raise SearchError(
            f"{option}={value!r} was given to the search algorithm {name!r}. Expected a {type(usual).__name__}, such "
            f"as {usual!r}."
        )
