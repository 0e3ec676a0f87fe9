"""Downloads, against a web server on this machine that does what a test tells it. The oracle is the content."""

import gzip
import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from zcbench.errors import ChecksumError, DataError
from zcbench.storage.downloads import Limits, RemoteFile, download, shown

CONTENT = np.random.default_rng(0).bytes(3 << 20)
FAST = Limits(seconds=20, silence=0.4, attempts=4, pause=0.01)
Answer = Callable[["Handler", int], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next of the server's answers, the last of them again and again."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "bytes=0-")
        self.server.asked.append(wanted)  # type: ignore[attr-defined]
        answers = self.server.answers  # type: ignore[attr-defined]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.close_connection = True
        with suppress(OSError):  # the client has gone
            answer(self, int(wanted.removeprefix("bytes=").removesuffix("-")))

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def whole(content: bytes = CONTENT, cut: int | None = None, ranges: bool = True, length: bool = True) -> Answer:
    """The content from the byte that is asked for, or cut after some bytes."""

    def answer(handler: Handler, start: int) -> None:
        start = start if ranges else 0
        part = content[start:]
        headers: dict[str, object] = {"Content_Length": len(part)} if length else {}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(206 if start else 200, **headers)
        handler.wfile.write(part if cut is None else part[:cut])

    return answer


def status(code: int, **headers: object) -> Answer:
    return lambda handler, start: handler.head(code, Content_Length=0, **headers)


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers = [], [whole()]  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def remote(site: ThreadingHTTPServer, content: bytes = CONTENT, login: str = "", query: str = "") -> RemoteFile:
    url = f"http://{login}127.0.0.1:{site.server_port}/data/file.bin{query}"
    return RemoteFile(url, len(content), hashlib.sha256(content).hexdigest())


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([whole()], ["bytes=0-"]),
        ([whole(length=False)], ["bytes=0-"]),
        ([status(503), status(429), whole()], ["bytes=0-"] * 3),
        ([whole(cut=1 << 20), whole(cut=1 << 20), whole()], ["bytes=0-", "bytes=1048576-", "bytes=2097152-"]),
        ([whole(cut=1 << 20), whole(ranges=False)], ["bytes=0-", "bytes=1048576-"]),
        ([whole(cut=1 << 20, length=False), whole()], ["bytes=0-", "bytes=1048576-"]),
        ([whole(cut=1 << 20), status(416), whole()], ["bytes=0-", "bytes=1048576-", "bytes=0-"]),
        ([whole(b"x" * len(CONTENT), cut=1 << 20), whole(), whole()], ["bytes=0-", "bytes=1048576-", "bytes=0-"]),
    ],
    ids=["whole", "no length", "503 and 429", "cut twice", "no ranges", "cut, no length", "416", "another beginning"],
)
def test_the_file_arrives(site, tmp_path: Path, answers: list[Answer], asked: list[str]) -> None:
    """Invariance: the content, whatever happens on the way; the requests are those that a resumed download needs."""
    site.answers = answers
    told: list[tuple[int, int]] = []
    download(remote(site), tmp_path / "d" / "f", limits=FAST, progress=lambda *counts: told.append(counts))
    assert (tmp_path / "d" / "f").read_bytes() == CONTENT and left(tmp_path) == ["d", "d/f"]
    assert site.asked == asked and told[-1] == (len(CONTENT), len(CONTENT))
    download(remote(site), tmp_path / "d" / "f", limits=FAST)
    assert site.asked == asked  # it is here


@pytest.mark.parametrize("date", [False, True])
def test_a_server_that_says_when(site, tmp_path: Path, date: bool) -> None:
    """Oracle: the clock; the second request comes after the time that the server names, in seconds or as a date."""
    after = formatdate(time.time() + 2.5, usegmt=True) if date else "1"
    site.answers = [status(503, Retry_After=after), whole()]
    start = time.monotonic()
    download(remote(site), tmp_path / "f", limits=FAST)
    assert time.monotonic() - start > 0.9


def test_a_server_that_asks_to_wait_too_long(site, tmp_path: Path) -> None:
    """Bad input: an hour is more than the time limit; nothing is waited for."""
    site.answers = [status(429, Retry_After=3600)]
    with pytest.raises(DataError, match=r"answers 429 and asks to wait 3,600 s.*time limit of 20 s"):
        download(remote(site), tmp_path / "f", limits=FAST)
    assert site.asked == ["bytes=0-"] and left(tmp_path) == []


def too_many(handler: Handler, start: int) -> None:
    handler.head(200)
    for _ in range(1000):
        handler.wfile.write(CONTENT)


BOMB = gzip.compress(bytes(100 << 20), compresslevel=1)


def bomb(handler: Handler, start: int) -> None:
    handler.head(200, Content_Encoding="gzip", Content_Length=len(BOMB))
    handler.wfile.write(BOMB)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (too_many, r"it has more than the pinned 3,145,728 bytes"),
        (whole(CONTENT + b"?"), r"it has 3,145,729 bytes"),
        (whole(CONTENT[:-1]), r"it has 3,145,727 bytes"),
        (whole(bytes(len(CONTENT))), r"its sha256 is not the pinned one"),
        (bomb, r"it comes compressed \(gzip\)"),
    ],
    ids=["endless", "longer", "shorter", "other content", "bomb"],
)
def test_another_file(site, tmp_path: Path, answer: Answer, message: str) -> None:
    """Bad input: a named error that ends with the advice, and an empty folder."""
    site.answers = [answer]
    with pytest.raises(ChecksumError, match=rf"does not give the published file: {message}.*Name a mirror\.$"):
        download(remote(site), tmp_path / "f", limits=FAST, advice="Name a mirror.")
    assert left(tmp_path) == [] and len(site.asked) == 1


@pytest.mark.parametrize(
    ("answers", "message", "requests"),
    [
        ([status(404)], r"the server answers 404 \(Not Found\)", 1),
        ([status(503)], r"the server answers 503, 4 times in a row", 4),
        ([whole(cut=0)], r"the connection was cut, 4 times in a row", 4),
        ([lambda handler, start: time.sleep(1)], r"no byte arrived for 0\.4 s, 4 times in a row", 4),
    ],
    ids=["404", "503", "cut", "silent"],
)
def test_no_file(site, tmp_path: Path, answers: list[Answer], message: str, requests: int) -> None:
    """Bad input: the reason, after as many requests as the limits allow, and an empty folder."""
    site.answers = answers
    with pytest.raises(DataError, match=message):
        download(remote(site), tmp_path / "f", limits=FAST)
    assert len(site.asked) == requests and left(tmp_path) == []


def slowly(handler: Handler, start: int) -> None:
    handler.head(200, Content_Length=len(CONTENT))
    for place in range(0, len(CONTENT), 1 << 18):
        handler.wfile.write(CONTENT[place : place + (1 << 18)])
        time.sleep(0.15)


def test_a_slow_server(site, tmp_path: Path) -> None:
    """Bad input: the time limit; what is there is named, kept, and continued by the next call."""
    site.answers = [slowly]
    with pytest.raises(DataError, match=r"within the time limit of 1 s; [\d,]+ of 3,145,728 bytes are kept"):
        download(remote(site), tmp_path / "f", limits=Limits(seconds=1, silence=5))
    assert left(tmp_path) == [".f.part"]
    site.answers = [whole()]
    download(remote(site), tmp_path / "f", limits=FAST)
    assert site.asked[1] != "bytes=0-" and (tmp_path / "f").read_bytes() == CONTENT and left(tmp_path) == ["f"]


def test_killed_and_continued(site, tmp_path: Path) -> None:
    """Invariance: after kill -9 the next call asks for the rest alone and has the whole file."""
    site.answers, file = [slowly], remote(site)
    code = (
        "from pathlib import Path; from zcbench.storage.downloads import *; "
        f"download(RemoteFile({file.url!r}, {file.size}, {file.sha256!r}), Path({str(tmp_path / 'f')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / ".f.part").exists() or (tmp_path / ".f.part").stat().st_size < 1 << 20:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    site.answers = [whole()]
    download(file, tmp_path / "f", limits=FAST)
    assert int(site.asked[-1][6:-1]) >= 1 << 20 and (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("answer", [status(404), whole(CONTENT + b"?"), status(503), whole(cut=0)])
def test_secrets_are_not_printed(site, tmp_path: Path, answer: Answer) -> None:
    """Bad input: user, password and token of an address are in no message."""
    site.answers = [answer]
    file = remote(site, login="me:pa55word@", query="?token=t0ken")
    with pytest.raises(DataError) as caught:
        download(file, tmp_path / "f", limits=FAST)
    text = f"{caught.value} {caught.value.__cause__}"
    assert "127.0.0.1" in text and "pa55word" not in text and "t0ken" not in text and "me:" not in text


def test_nobody_listens(tmp_path: Path) -> None:
    """Bad input: no server, and no address."""
    for url, why in (("http://127.0.0.1:9/f", "there is no connection"), ("nowhere/f", "no address that can be asked")):
        with pytest.raises(DataError, match=why):
            download(RemoteFile(url, 3, "0" * 64), tmp_path / "f", limits=FAST)
    assert left(tmp_path) == []


def test_a_local_file(tmp_path: Path) -> None:
    """Invariance: an address of a file is read like any other; a missing one and another one are named errors."""
    source = tmp_path / "a file.bin"
    source.write_bytes(CONTENT)
    file = RemoteFile(source.as_uri(), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert file.name == "a file.bin"
    assert download(file, tmp_path / "d" / "f", limits=FAST).read_bytes() == CONTENT
    with pytest.raises(ChecksumError, match="it has 3,145,728 bytes"):
        download(RemoteFile(file.url, 5, file.sha256), tmp_path / "g", limits=FAST)
    with pytest.raises(DataError, match="No such file"):
        download(RemoteFile(f"{file.url}-x", 5, file.sha256), tmp_path / "g", limits=FAST)


def test_a_place_that_cannot_be_written(site, tmp_path: Path) -> None:
    """Bad input: a file stands where the folder should be."""
    (tmp_path / "d").write_text("")
    with pytest.raises(DataError, match=r"Cannot write.*--data-dir"):
        download(remote(site), tmp_path / "d" / "f", limits=FAST)


def test_addresses_without_secrets() -> None:
    """Closed form."""
    assert shown("http://u:p@h:81/x?t=1#f") == "http://h:81/x"
    assert shown("file:///a/b") == "file:///a/b"
    assert shown("http://[bad/x") == "an address that cannot be read"
