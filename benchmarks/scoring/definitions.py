"""Definitions that scores rest on and that are no part of zcbench: proxies of plug-ins, networks of one's own."""

from collections.abc import Mapping

from zcbench.errors import ProtocolError
from zcbench.storage.run_folder import Json

#: Fingerprints of the definitions of proxies that are no part of zcbench, by name and version.
Contents = dict[tuple[str, int], str]


def agreed(descriptions: Mapping[str, Json]) -> Json:
    """The ``contents`` and ``networks`` of several descriptions of scores, by the name of the place that they are from.

    Raises:
        ProtocolError: two places have scores of different definitions of one proxy at one version, or of different
            networks of one name.
    """
    contents = _agreed_contents(descriptions)
    return {**({"contents": contents} if contents else {}), **agreed_networks(descriptions)}


def _agreed_contents(descriptions: Mapping[str, Json]) -> dict[str, str]:
    found: dict[str, tuple[str, str]] = {}
    for place, description in descriptions.items():
        for key, sha256 in description.get("contents", {}).items():
            first, known = found.setdefault(key, (place, sha256))
            if known != sha256:
                raise ProtocolError(
                    f"{first} and {place} have scores of two definitions of the proxy {key}, which was edited and kept "
                    f"its version. Two definitions are never mixed: raise the version, and score with one of them."
                )
    return {key: sha256 for key, (_, sha256) in found.items()}


def agreed_networks(descriptions: Mapping[str, Json]) -> dict[str, Json]:
    """The entry ``networks`` of several descriptions, if any has one.

    Raises:
        ProtocolError: two places have scores of different networks of one name.
    """
    found: dict[str, tuple[str, Json]] = {}
    for place, description in descriptions.items():
        for name, card in description.get("networks", {}).items():
            first, known = found.setdefault(name, (place, card))
            if known["sha256"] != card["sha256"]:
                raise ProtocolError(
                    f"{first} and {place} have scores of two networks of the name {name!r}. Two networks are never "
                    f"mixed: rename one of them, and score it again."
                )
    return {"networks": {name: card for name, (_, card) in found.items()}} if found else {}


def by_version(contents: Mapping[str, str]) -> Contents:
    """Fingerprints by name and version, from those by ``NAME@VERSION``."""
    split = {key: key.rpartition("@") for key in contents}
    return {(name, int(version)): contents[key] for key, (name, _, version) in split.items()}
