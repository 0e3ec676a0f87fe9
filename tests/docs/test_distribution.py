"""What is published: the source distribution, and the README on an index page."""

import importlib.util
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
#: What only the place needs where the project is developed.
DEVELOPMENT = (".ci/", ".github/", ".gitignore")


def module(path: str) -> ModuleType:
    """A Python file of the root, imported."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_source_distribution_has_every_file(tmp_path: Path) -> None:
    """The oracle is git: every tracked file but those of the development is in the archive."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    copy = tmp_path / "copy"
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    words = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path / "out"), str(copy)]
    subprocess.run(words, check=True, capture_output=True)
    with tarfile.open(next((tmp_path / "out").glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        card = archive.extractfile(next(name for name in archive.getnames() if name.count("/") == 1 and "PKG" in name))
        assert card is not None
        text = card.read().decode("utf-8").partition("\n\n")[2]
    expected = {name for name in tracked.split("\0") if name and not name.startswith(DEVELOPMENT)}
    assert {name for name in expected if (ROOT / name).is_file()} - names == set()
    assert "# zcbench" in text and re.findall(r"\]\((?!https?://|#)[^)]*\)", text) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, "[a](https://x.org) b (docs/b.md) `c.md` picture [d](#d)"),
        (
            "https://host/me/zcbench/",
            "[a](https://x.org) [b](https://host/me/zcbench/blob/HEAD/docs/b.md) "
            "[`c.md`](https://host/me/zcbench/blob/HEAD/c.md) "
            "![picture](https://host/me/zcbench/raw/HEAD/p.svg) [d](#d)",
        ),
    ],
)
def test_links_of_the_readme_work_on_an_index_page(source: str | None, expected: str) -> None:
    """Closed form, with and without a known address of the repository; code is left as it is."""
    made = module("setup.py")
    text = "[a](https://x.org) [b](docs/b.md) [`c.md`](c.md) ![picture](p.svg) [d](#d)"
    code = "\n```python\nx[0](y)\n```\n"
    assert made.on_index_page(text + code, source) == expected + code


def test_the_address_is_that_of_the_configuration() -> None:
    """Closed form: the entry 'Source' of project_urls, or none."""
    made = module("setup.py")
    assert made.source_url("[metadata]\nproject_urls =\n    Source = https://a/b\n    Other = c\n") == "https://a/b"
    assert made.source_url("[metadata]\nname = x\n") is None


def test_formulas_become_mathml_or_an_error() -> None:
    """Closed form: a fraction; a command that the converter does not know is an error."""
    made = module("docs/site/formulas.py")
    assert "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>" in made.to_mathml(r"one $`\frac{a}{b}`$ two")
    assert made.to_mathml("```math\nx\n```\n").startswith("<div class=formula><math")
    with pytest.raises(ValueError, match="nonsense"):
        made.to_mathml(r"$`\nonsense x`$")


def test_links_of_pages_lead_to_pages_of_the_site() -> None:
    """Closed form: files of the root have pages, files outside of the site become their text, code is left."""
    made = module("docs/site/links.py")
    code = "\n```python\nx[1](../setup.py)\n```\n"
    text = f"[c](../CONTRIBUTING.md#a-proxy) [e](../examples/my_proxy.py) [s](search.md){code}"
    assert made.adapted(text, "docs/architecture.md", "architecture.md", ROOT) == (
        f"[c](contributing.md#a-proxy) e [s](search.md){code}"
    )
    assert made.adapted("[s](reference/s.md)", "docs/a.md", "a.md", ROOT, ["reference/s.md"]) == "[s](reference/s.md)"
    with pytest.raises(ValueError, match="which is neither a file"):
        made.adapted("[s](reference/s.md)", "docs/a.md", "a.md", ROOT)
