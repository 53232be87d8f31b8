import hashlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from d2lcompanion.data import mirrors
from d2lcompanion.data.registry import ENTRIES, REGISTRY, Checksum, Entry, data_directory, fetch

GOOD, OTHER = b"1,2,3\n" * 1000, b"<html>moved</html>"
DIGEST = hashlib.sha256(GOOD).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves /good, /slow, /other and /cut on 127.0.0.1 and counts what is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: Counter[str] = Counter()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        if self.path == "/slow":
            time.sleep(0.5)
        bodies = {"/good": GOOD, "/slow": GOOD, "/other": OTHER, "/cut": GOOD}
        body = bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        sent = (body or b"")[: 100 if self.path == "/cut" else None]
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


def register(monkeypatch, *urls: str, checksum: Checksum | None) -> None:
    entry = Entry("toy", "toy.csv", urls, checksum, "CC0", len(GOOD), "made up", tried=True)
    monkeypatch.setitem(REGISTRY, "toy", entry)


SHA256 = Checksum("sha256", DIGEST, "computed in this test")


def files(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_a_good_file_arrives_once(server, folder, monkeypatch, algorithm):
    digest = hashlib.new(algorithm, GOOD).hexdigest()
    register(monkeypatch, server.url("good"), checksum=Checksum(algorithm, digest, "this test"))
    path = fetch("toy")
    assert path == folder / "toy.csv"
    assert path.read_bytes() == GOOD
    assert fetch("toy", progress=False) == path
    assert server.requests == {"/good": 1}
    assert files(folder) == ["toy.csv"]


def test_wrong_bytes_leave_nothing_behind(server, folder, monkeypatch):
    register(monkeypatch, server.url("other"), checksum=SHA256)
    with pytest.raises(OSError, match=f"(?s)toy could not be fetched.*{server.url('other')}"):
        fetch("toy")
    assert files(folder) == []


def test_a_broken_connection_leaves_nothing_behind(server, folder, monkeypatch):
    register(monkeypatch, server.url("cut"), checksum=SHA256)
    with pytest.raises(OSError, match="toy could not be fetched"):
        fetch("toy")
    assert files(folder) == []


def test_mirrors_are_tried_in_order(server, folder, monkeypatch):
    dead = "http://127.0.0.1:9/toy.csv"  # the discard port: nobody listens
    urls = [dead, server.url("missing"), server.url("other"), server.url("good")]
    register(monkeypatch, *urls, checksum=SHA256)
    assert fetch("toy").read_bytes() == GOOD
    assert server.requests == {"/missing": 1, "/other": 1, "/good": 1}


def test_a_mirror_that_does_not_answer_is_left(server, folder, monkeypatch):
    monkeypatch.setattr(mirrors, "TIMEOUT", 0.1)
    register(monkeypatch, server.url("slow"), server.url("good"), checksum=SHA256)
    assert fetch("toy").read_bytes() == GOOD
    assert server.requests == {"/slow": 1, "/good": 1}


def test_the_error_tells_what_every_mirror_gave(server, folder, monkeypatch):
    register(monkeypatch, server.url("missing"), server.url("other"), checksum=SHA256)
    with pytest.raises(OSError, match=r"(?s)missing: 404.*other: SHA256 hash"):
        fetch("toy")


def test_a_file_that_is_in_the_way_is_kept(server, folder, monkeypatch):
    register(monkeypatch, server.url("good"), checksum=SHA256)
    (folder / "toy.csv").write_bytes(b"my own notes")
    with pytest.raises(ValueError, match=r"toy\.csv is not the file of the registry"):
        fetch("toy")
    assert (folder / "toy.csv").read_bytes() == b"my own notes"


def test_without_a_checksum_trust_is_explicit_and_then_recorded(server, folder, monkeypatch):
    register(monkeypatch, server.url("good"), checksum=None)
    with pytest.raises(ValueError, match="toy has no checksum"):
        fetch("toy")
    assert server.requests == {}
    fetch("toy", allow_unverified=True)
    assert (folder / "toy.csv.sha256").read_text(encoding="utf-8") == f"{DIGEST}  toy.csv\n"

    (folder / "toy.csv").unlink()
    register(monkeypatch, server.url("other"), checksum=None)
    with pytest.raises(OSError, match="SHA256 hash"):  # other bytes than those first seen
        fetch("toy", allow_unverified=True)


FETCH_IN_A_PROCESS = """
import sys
from d2lcompanion.data.registry import REGISTRY, Checksum, Entry, fetch
url, digest = sys.argv[1:]
checksum = Checksum("sha256", digest, "the test")
REGISTRY["toy"] = Entry("toy", "toy.csv", (url,), checksum, "CC0", None, "made up", True)
sys.stdin.readline()  # the starting shot
sys.stdout.write(str(fetch("toy", progress=False).stat().st_size))
"""


def test_two_processes_at_once_download_once(server, folder):
    command = [sys.executable, "-c", FETCH_IN_A_PROCESS, server.url("slow"), DIGEST]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    with ThreadPoolExecutor() as both:
        answers = list(both.map(lambda p: p.communicate("go\n", timeout=60)[0], processes))
    assert answers == [str(len(GOOD))] * 2
    assert server.requests == {"/slow": 1}
    assert files(folder) == ["toy.csv"]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown data set 'airfoils'; known: airfoil"):
        fetch("airfoils")


def test_the_data_directory_follows_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    assert data_directory() == tmp_path
    monkeypatch.setenv("D2LC_DATA_DIR", "~/数据")
    assert data_directory() == Path.home() / "数据"
    monkeypatch.setenv("D2LC_DATA_DIR", "")
    assert data_directory() == Path(pooch.os_cache("d2lcompanion"))


LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry):
    assert REGISTRY[entry.name] is entry
    assert entry.urls
    assert all(url.startswith(("https://", "http://")) for url in entry.urls)
    assert entry.licence
    assert entry.citation
    if entry.checksum is not None:
        assert len(entry.checksum.digest) == LENGTHS[entry.checksum.algorithm]
        assert int(entry.checksum.digest, 16) > 0
        assert len(entry.checksum.origin) > 20
    if any(url.startswith("http://") for url in entry.urls):
        assert entry.checksum is not None, "plain HTTP needs a checksum"
        assert entry.urls[0].startswith("https://"), "HTTPS comes first"


@pytest.mark.parametrize("name", ["ptb", "wikitext-2"])
def test_the_digests_of_text_are_those_that_d2l_publishes(name):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    url, digest = d2l.DATA_HUB[name]
    entry = REGISTRY[name]
    assert (entry.checksum.algorithm, entry.checksum.digest) == ("sha1", digest)
    assert "d2l 1.0.3" in entry.checksum.origin
    assert url in entry.urls
