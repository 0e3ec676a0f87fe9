"""Listing, fetching, importing and verifying, against a web server on this machine."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from zcbench import spaces
from zcbench.benchmarks.truths import data
from zcbench.benchmarks.truths.catalogue import PUBLISHED, SOURCES
from zcbench.benchmarks.truths.lookup import truth
from zcbench.errors import ChecksumError, DataError, UnknownNameError
from zcbench.storage import files as folders
from zcbench.storage.downloads import Limits


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_data_directory_rules(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order: what is given, then the variable, then the user's own."""
    assert folders.data_folder() == home
    monkeypatch.setenv("ZCBENCH_DATA", str(tmp_path))
    assert folders.data_folder() == tmp_path
    assert folders.data_folder("x") == Path("x")


def test_fetch_stores_a_table(site, tmp_path: Path) -> None:
    """Invariance: the fetched table is the one read straight from the published files; a second fetch asks nobody."""
    said: list[str] = []
    report = data.fetch(["nasbench201/cifar10"], tmp_path / "d", site.url, said.append)
    assert report["name"].tolist()[:1] == ["nasbench201/cifar10/test@200"]
    assert truth("nasbench201/cifar10", tmp_path / "d")["accuracy"].tolist() == [90.0, 91.0, 92.0]
    assert truth("nasbench201/cifar10", tmp_path / "d", per_seed=True)["seed"].tolist() == [0, 1] * 3
    assert len(said) == 2
    asked = len(site.asked)
    data.fetch(["nasbench201/cifar10"], tmp_path / "d", site.url)
    assert len(site.asked) == asked == 2


@pytest.mark.parametrize("variable", ["ZCBENCH_MIRROR", "ZCBENCH_BASE_URL"])
def test_fetch_reads_the_address_from_the_environment(
    site, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Oracle: the local server was asked, and the user's own directory has the table."""
    monkeypatch.setenv(variable, site.url)
    data.fetch(["meco"])
    assert site.asked == [SOURCES["meco"].url("")]
    assert files(home) == ["sources/meco/nb2_test_acc_cf10.p", "truth/nasbench201__cifar10__test@200.runs.parquet"]


def test_wrong_bytes_leave_nothing_behind(site, tmp_path: Path) -> None:
    """Oracle: an empty folder."""
    site.files = {address: body + b"?" for address, body in site.files.items()}
    with pytest.raises(ChecksumError, match="does not give the published file"):
        data.fetch(["meco"], tmp_path / "d", site.url)
    assert files(tmp_path / "d") == []


def test_broken_download_keeps_what_was_complete_and_goes_on(site, tmp_path: Path) -> None:
    """Oracle: the first file is kept and not asked for again; the second is there after a retry."""
    first, second = SOURCES["nats-bench-landscape"], SOURCES["meco"]
    site.broken = {second.url("")}
    with pytest.raises(DataError, match=r"broke off.*run the same command again"):
        data.fetch(["nasbench201/cifar10"], tmp_path / "d", site.url, limits=Limits(pause=0.01))
    assert files(tmp_path / "d") == [first.place]
    site.broken = set()
    data.fetch(["nasbench201/cifar10"], tmp_path / "d", site.url)
    assert site.asked.count(first.url("")) == 1
    assert second.place in files(tmp_path / "d")


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "no-address"])
def test_no_network(small: Path, tmp_path: Path, base: str) -> None:
    """Oracle: nobody listens; the error says so and nothing is left."""
    with pytest.raises(DataError, match="check the network"):
        data.fetch(["meco"], tmp_path / "d", base)
    assert files(tmp_path / "d") == []


def test_missing_address(site, tmp_path: Path) -> None:
    """Oracle: a 404 is an error that names the address."""
    site.files.clear()
    with pytest.raises(DataError, match=r"nb2_test_acc_cf10\.p.*404"):
        data.fetch(["meco"], tmp_path / "d", site.url)


def test_fetch_into_a_place_that_cannot_be_written(site, tmp_path: Path) -> None:
    """Oracle: a file stands where the data directory should be."""
    (tmp_path / "d").write_text("")
    with pytest.raises(DataError, match=r"Cannot write.*--data-dir"):
        data.fetch(["meco"], tmp_path / "d", site.url)


@pytest.mark.parametrize("name", ["mecco", "nasbench201/cifar11", "nasbench201/cifar10@13"])
def test_fetch_of_an_unknown_name(tmp_path: Path, name: str) -> None:
    """Oracle: the nearest names."""
    with pytest.raises(UnknownNameError, match="Did you mean"):
        data.fetch([name], tmp_path)


def test_import_tells_what_it_found_and_what_it_skipped(small: Path, tmp_path: Path) -> None:
    """Oracle: a folder with one renamed source, one damaged, one copy and one stranger."""
    folder = tmp_path / "mine"
    folder.mkdir()
    csv = small / SOURCES["nats-bench-landscape"].place
    shutil.copy(csv, folder / "a-renamed.csv")
    shutil.copy(csv, folder / "nats_bench.csv")
    (folder / "nb2_test_acc_cf10.p").write_bytes(b"damaged")
    (folder / "notes.txt").write_text("hello")
    report = data.import_folder(folder, tmp_path / "d").set_index("file")["status"]
    assert {Path(file).name: status for file, status in report.items()} == {
        "a-renamed.csv": "imported",
        "nats_bench.csv": "second copy",
        "nb2_test_acc_cf10.p": "wrong checksum",
        "notes.txt": "not a known source",
    }
    assert truth("nasbench201/cifar100", tmp_path / "d")["accuracy"].tolist() == [70.0, 71.0, 72.0]


def test_import_of_a_folder_in_the_shape_of_the_sources(small: Path, tmp_path: Path) -> None:
    """Oracle: all three small files are found, and the hardware costs are carried along."""
    report = data.import_folder(small, tmp_path / "d")
    assert report["status"].tolist() == ["imported"] * 3
    assert dict(zip(report["source"], report["tables"])) == {
        "nats-bench-landscape": 3,
        "meco": 1,
        "hw-nas-bench:cifar10": 0,
    }
    costs = data.hardware_costs("cifar10", tmp_path / "d")
    cell = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
    assert costs["arch"].tolist() == [cell]  # ops (4,3,3,0,1,2) of edges 12 13 14 23 24 34, by hand
    assert np.isnan(costs["edgetpu_latency"][0])


def test_import_of_nothing(tmp_path: Path) -> None:
    """Oracle: an empty folder and no folder are two errors, each with what was expected."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No known file.*nats_bench\.csv"):
        data.import_folder(tmp_path / "empty", tmp_path / "d")
    with pytest.raises(DataError, match="is no folder"):
        data.import_folder(tmp_path / "nowhere", tmp_path / "d")


def test_truth_of_your_own_is_found_by_its_name(tmp_path: Path) -> None:
    """Invariance: csv in, the same accuracies out, under the name that was given; the list shows it."""
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy\na,90\nb,91\n")
    data.import_csv(file, "mine/digits@30", tmp_path)
    assert truth("mine/digits/test@30", tmp_path)["accuracy"].tolist() == [90.0, 91.0]
    listed = data.list_data(tmp_path).set_index("name").loc["mine/digits/test@30"]
    assert (listed["rows"], listed["source"]) == (2, str(file))


def test_list_says_where_each_truth_is(small: Path, tmp_path: Path) -> None:
    """Oracle: here as source, here as table, and not here."""
    listed = data.list_data(small)
    where = dict(zip(listed["name"] + " " + listed["kind"], listed["where"]))
    assert where["nasbench201/cifar10/test@200 mean"] == str(small / "sources")
    assert where["nasbench201/cifar10/valid@200 single runs"] == "not here"
    data.import_folder(small, tmp_path / "d")
    listed = data.list_data(tmp_path / "d")
    assert listed["where"].str.endswith(".parquet").sum() == 4
    assert set(listed["licence"]) >= {"MIT", "Apache-2.0"}


def test_verify_finds_every_damage(small: Path, tmp_path: Path) -> None:
    """Oracle: one table and one source are damaged by hand; those two are reported, the others are ok."""
    root = tmp_path / "d"
    shutil.copytree(small, root)
    data.import_folder(root, root)
    assert set(data.verify(root)["status"]) == {"ok", "not here"}
    table = root / "truth" / "nasbench201__cifar100__test@200.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    (root / SOURCES["meco"].place).write_bytes(b"?")
    report = data.verify(root)
    bad = report[report["status"] == "damaged"]
    assert sorted(bad["name"]) == ["meco", "nasbench201/cifar100/test@200"]
    assert bad["reason"].str.contains("zcbench data").all()


@pytest.mark.data
def test_published_files_verify(data_dir: Path) -> None:
    """Published checksums: each pinned sha256 and size is that of the public file."""
    report = data.verify(data_dir).set_index("name")
    for name, source in SOURCES.items():
        assert report.loc[name, "status"] == "ok"
        assert (data_dir / source.place).stat().st_size == source.size


@pytest.mark.data
def test_import_of_the_published_folder(data_dir: Path, tmp_path: Path) -> None:
    """Every published truth in less than 18 MB, equal to what its sources say.

    Published counts: rows of each table, and all 15,625 cells (6,561 networks of NAS-Bench-Macro, 64 of S0).
    """
    report = data.import_folder(data_dir / "sources", tmp_path)
    assert (report["status"] == "imported").sum() == len(SOURCES)
    whole = {name: set(spaces.get(name)) for name in ("nasbench201", "s0")}
    for (name, per_run), published in PUBLISHED.items():
        table = truth(name, tmp_path, per_seed=per_run)
        assert len(table) == published.rows, name
        assert table.protocol["n"] == (6561 if "nasbench_macro" in name else table["arch"].nunique()), name
        assert set(table["arch"]) == whole.get(name.split("/")[0], set(table["arch"])), name
    for name in ("nasbench201/cifar10", "nasbench201/cifar100/valid", "nasbench201/cifar10/test@12"):
        assert truth(name, tmp_path).equals(truth(name, data_dir))
    assert sum(path.stat().st_size for path in (tmp_path / "truth").iterdir()) < 18e6
