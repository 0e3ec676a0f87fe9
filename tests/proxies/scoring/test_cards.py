"""The cards of proxies and the index that they are read from. The oracle is the registry itself."""

import json
from pathlib import Path

import pytest

from zcbench.proxies import REGISTRY
from zcbench.proxies.scoring import cards


@pytest.fixture
def fresh() -> None:
    """The index is read again."""
    cards._indexed.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_index_has_the_cards_of_all_proxies() -> None:
    """Oracle: name, version, direction, labels, signals and source of every registered proxy of zcbench.

    Where it fails, a declaration has changed: ``make index`` writes the file again.
    """
    indexed = cards._indexed()
    assert indexed is not None, "the index is of other declarations: run 'make index'"
    own = [item for item in REGISTRY.usable()[0] if item.is_own]
    assert list(indexed) == [item.name for item in own]
    for item in own:
        card = indexed[item.name]
        facts = (item.version, item.higher_is_better, item.uses_labels, item.baseline)
        assert (card.version, card.higher_is_better, card.uses_labels, card.baseline) == facts
        assert (set(card.reads), card.source) == (item.reads, item.source)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("content", ["", "[]", '{"declarations": "of before", "cards": []}', '{"cards": [[1]]}'])
def test_an_index_that_is_stale_or_damaged_is_not_used(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: no cards from it, and those of the registry in its place."""
    home = cards.INDEX.parent
    for folder in ("", "signals"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for file in (home / folder).glob("*.py"):
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(cards, "INDEX", tmp_path / "index.json")
    cards.INDEX.write_text(content, encoding="utf-8")
    assert cards._indexed() is None
    assert cards.cards()[0]["snip"] == cards.card("snip")
    assert cards.card("kd:kd(temperature=2)").reads == ("logits", "teacher")
    cards._indexed.cache_clear()
    cards.write_index(cards.INDEX)
    assert cards._indexed() == {name: one for name, one in cards._registered()[0].items() if REGISTRY.get(name).is_own}
    assert len(json.loads(cards.INDEX.read_text(encoding="utf-8"))["declarations"]) == 64
    cards._indexed.cache_clear()


def test_a_changed_version_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: an edit of a declaration by hand; an edit of a body changes nothing."""
    (tmp_path / "signals").mkdir()
    signals = (cards.INDEX.parent / "signals" / "signals.py").read_text(encoding="utf-8")
    (tmp_path / "signals" / "signals.py").write_text(signals, encoding="utf-8")
    text = (
        '@proxy("mine", reads="logits", higher_is_better=True{})\ndef mine(signals: Signals) -> float:\n    return {}\n'
    )
    monkeypatch.setattr(cards, "INDEX", tmp_path / "index.json")
    found = []
    for declared, body in (("", "1.0"), ("", "2.0"), (", version=2", "1.0")):
        (tmp_path / "mine.py").write_text(text.format(declared, body), encoding="utf-8")
        found.append(cards.declarations())
    assert found[0] == found[1] != found[2]
    (tmp_path / "signals" / "signals.py").write_text(signals.replace("labelled=True", "labelled=False"), "utf-8")
    assert cards.declarations() != found[2]
