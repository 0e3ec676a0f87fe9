"""The declaration of one signal: what it is, which passes it needs, what its value depends on."""

from typing import Generic, Protocol, Self, TypeVar, cast, overload

T = TypeVar("T")


class Reader(Protocol):
    """An object that has a value for each signal."""

    def read(self, name: str) -> object:
        """Value of the signal ``name``."""


class Signal(Generic[T]):
    """A read-only attribute of `Signals`, with the facts that the planner, the scores and the documentation need.

    Args:
        what: description, with shapes.
        parts: the timed parts of the passes that are needed to compute it; none costs nothing.
        labelled: whether its value depends on the labels.
        wide: whether it is a sum over weights: values of half precision are converted to float32 before they are
            added up.
        analytic: whether a space knows its value without a network.
    """

    def __init__(
        self, what: str, *parts: str, labelled: bool = False, wide: bool = False, analytic: bool = False
    ) -> None:
        self.what = self.__doc__ = what
        self.parts, self.labelled, self.wide, self.analytic = parts, labelled, wide, analytic
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, reader: None, owner: type) -> Self: ...

    @overload
    def __get__(self, reader: Reader, owner: type) -> T: ...

    def __get__(self, reader: Reader | None, owner: type) -> Self | T:
        return self if reader is None else cast(T, reader.read(self.name))

    def __set__(self, reader: Reader, value: object) -> None:
        raise AttributeError(f"can't set attribute {self.name!r}")
