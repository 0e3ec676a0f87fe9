"""Lists of choices as short strings: how they are read and written."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zcbench.errors import ArchitectureError, nearest


class Site(NamedTuple):
    """One choice of an architecture: what it is called in messages, and the values it can have, as they are written."""

    name: str
    values: tuple[str, ...]


class Notation:
    """Strings that name one value of each of the first n sites, where n is one of ``lengths``.

    Attributes:
        name: of the space.
        label: what an architecture of the space is called in messages.
        example: one string of the space, for messages.
        sites: the choices, in the order in which a string names them.
        separators: the text between a site and the next.
        lengths: how many sites an architecture may have, in ascending order; as many as there are, unless it is set.
        aliases: further names of architectures, such as ``resnet20``.
    """

    name: str
    label: str
    example: str
    sites: tuple[Site, ...]
    separators: tuple[str, ...] = ()
    lengths: tuple[int, ...]
    aliases: Mapping[str, str] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "sites" in vars(cls) and "lengths" not in vars(cls):
            cls.lengths = (len(cls.sites),)

    def parse(self, arch: str) -> tuple[str, ...]:
        """Values of the sites, in order.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """
        if not isinstance(arch, str):
            raise ArchitectureError(
                f"Given: {arch!r}, which is of the type {type(arch).__name__}. Expected: the string of {self.label}, "
                f"such as {self.example!r}."
            )
        values = tuple(self._split(self._without_alias(arch)))
        for site, value in zip(self.sites, values):
            if value not in site.values:
                wrong = f"{site.name} reads {_short(value)!r}. Expected one of {', '.join(site.values)}"
                raise self._refusal(arch, f"{wrong}. {_hint(value, (*site.values, *self.aliases))}".rstrip())
        if len(values) not in self.lengths:
            ends = " or ".join(self.sites[length - 1].name for length in self.lengths)
            here = self.sites[len(values) - 1].name
            raise self._refusal(arch, f"it ends after {here}. Expected it to end after {ends}.")
        return values

    def write(self, values: Sequence[str]) -> str:
        """String of the architecture with these values."""
        separated = zip(values, ("", *self.separators))
        return "".join(separator + value for value, separator in separated)

    def _split(self, text: str) -> list[str]:
        """The parts of ``text`` between the separators."""
        values, rest = [], text
        for separator in self.separators:
            value, found, after = rest.partition(separator)
            if not found:
                break
            values.append(value)
            rest = after
        return [*values, rest]

    def _without_alias(self, arch: str) -> str:
        if arch[:1].isalpha() and self.aliases and self.sites[0].values[0][:1].isdecimal() and arch not in self.aliases:
            raise self._refusal(arch, f"no architecture of {self.name} has this name. {nearest(arch, self.aliases)}")
        return self.aliases.get(arch, arch)

    def _refusal(self, arch: str, wrong: str) -> ArchitectureError:
        return ArchitectureError(f"{_short(arch)!r} is no {self.label}: {wrong} An example is {self.example!r}.")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."


def _hint(value: str, values: Sequence[str]) -> str:
    hint = nearest(_short(value), values)
    return hint if hint.startswith("Did you mean") else ""
