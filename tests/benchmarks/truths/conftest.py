import hashlib
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zcbench import spaces
from zcbench.benchmarks.truths.catalogue import PUBLISHED, SOURCES
from zcbench.benchmarks.truths.sources import Source

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data directory for the user, whatever the machine has."""
    for variable in ("ZCBENCH_DATA", "ZCBENCH_BASE_URL", "ZCBENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("zcbench.storage.files.user_folder", lambda: tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two sources cut down to three architectures, whose checksums the catalogue knows."""
    archs = list(spaces.get("nasbench201"))[:3]
    head = "CIFAR10TestAccuracy200Epochs,CIFAR100TestAccuracy200Epochs,ImageNetTestAccuracy200Epochs,ArchitectureString"
    lines = [f"{90 + i},{70 + i},{40 + i},{arch}" for i, arch in enumerate(archs)]
    cells = [tuple(OPS.index(part.split("~")[0]) for part in arch.split("|") if "~" in part) for arch in archs]
    runs = {cell: [90.0 + i, 91.0 + i] for i, cell in enumerate(cells)}
    content = {
        "nats-bench-landscape": "\n".join([head, *lines]).encode(),
        "meco": pickle.dumps(runs, protocol=3),
        "hw-nas-bench:cifar10": b'net,edgetpu_latency\n"(4, 3, 3, 0, 1, 2)",-1\n',
    }
    for name, data in content.items():
        known = replace(SOURCES[name], sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        _replace_source(monkeypatch, known)
        path = tmp_path / "published" / known.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "published"


def _replace_source(monkeypatch: pytest.MonkeyPatch, source: Source) -> None:
    """The same file with another checksum, for every truth that is read from it."""
    monkeypatch.setitem(SOURCES, source.name, source)
    for key, truth in PUBLISHED.items():
        files = tuple(source if file.name == source.name else file for file in truth.sources)
        monkeypatch.setitem(PUBLISHED, key, replace(truth, sources=files))


class Site:
    """What the local web server answers: bytes by address, some of them cut off half-way."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def site(small: Path) -> Iterator[Site]:
    """A web server on this machine that publishes the small sources at their addresses."""
    answers = Site()
    for source in SOURCES.values():
        if (path := small / source.place).is_file():
            answers.files[source.url("")] = path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.asked.append(self.path)
            data = answers.files.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            body = data or b""
            self.wfile.write(body[: len(body) // 2] if self.path in answers.broken else body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_port}"
    yield answers
    server.shutdown()
    server.server_close()
    thread.join()
