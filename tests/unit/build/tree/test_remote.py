"""ADD of URLs, and contexts that are fetched: from a real server on loopback."""

import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sampan.build.operations import UrlSource
from sampan.build.tree import remote
from sampan.build.tree.context import BadContext
from sampan.build.tree.git import Access
from sampan.build.tree.git_program import GitProgram
from sampan.build.tree.remote import FetchedUrl, Mismatch, Remembered, fetch_url, file_name, url_content
from sampan.build.tree.remote_context import RemoteContext, fetch_context, git_source
from sampan.build.tree.room import TooLarge
from sampan.errors import NotFound, System
from sampan.files.tar_reader import BadArchive
from sampan.registry.fetching import Fetcher
from sampan.registry.settings import Proxies, Settings
from tests.unit.build.tree.archives import packed
from tests.waiting import eventually

CONTENT = b"what is fetched\n" * 100
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
TAR = packed({"Dockerfile": b"FROM scratch\n", "a": b"a"}).getvalue()
ANSWERS: dict[str, tuple[bytes, dict[str, str]]] = {
    "/file.txt": (CONTENT, {"Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT"}),
    "/tagged": (CONTENT, {"ETag": '"one"'}),
    "/tagged-other": (CONTENT, {"ETag": '"other"'}),
    "/never": (CONTENT, {"Last-Modified": "yesterday"}),
    "/": (CONTENT, {"Content-Disposition": 'attachment; filename="named.txt"'}),
    "/dockerfile": (b"FROM busybox\n", {"Content-Type": "text/plain; charset=utf-8"}),
    "/untold": (b"FROM busybox\n", {"Content-Type": "application/octet-stream"}),
    "/tar": (TAR, {"Content-Type": "application/x-tar"}),
    "/untold-tar": (gzip.compress(TAR), {"Content-Type": "application/octet-stream"}),
    "/page": (b"<html>", {"Content-Type": "text/html"}),
    "/nothing": (b"", {"Content-Type": "text/plain"}),
    "/broken-tar": (TAR[:700], {"Content-Type": "application/x-tar"}),
    "/long": (b"#" * (5 << 20), {"Content-Type": "text/plain"}),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        heard.append(f"{self.command} {self.path}")
        if self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"less")
            self.close_connection = True
            return
        if self.path not in ANSWERS:
            self.send_error(404)
            return
        content, headers = ANSWERS[self.path]
        unchanged = self.headers.get("If-None-Match") == headers.get("ETag", "")
        self.send_response(304 if unchanged else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


heard: list[str] = []


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    heard.clear()
    made = Fetcher(Settings())
    yield made
    made.close()


@pytest.fixture
def into(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def fetched(
    url: str, into: int, fetcher: Fetcher, remembered: Remembered | None = None, checksum: str = ""
) -> FetchedUrl:
    return fetch_url(UrlSource(url=url, checksum=checksum), into, fetcher, remembered)


def test_a_file(server: str, fetcher: Fetcher, into: int, tmp_path: Path) -> None:
    found = fetched(f"{server}/file.txt", into, fetcher)
    assert found.tree.file == "file.txt"
    status = (tmp_path / "file.txt").stat()
    assert (tmp_path / "file.txt").read_bytes() == CONTENT
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o600, 1_000_000_000)


def test_a_time_that_is_none(server: str, fetcher: Fetcher, into: int, tmp_path: Path) -> None:
    fetched(f"{server}/never", into, fetcher)
    assert (tmp_path / "never").stat().st_mtime == 0


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("http://h/a/b.txt", "", "b.txt"),
        ("http://h/a/b.txt?query=x/y#z", "", "b.txt"),
        ("http://h/a/", "", "a"),
        ("http://h/a%20b", "", "a b"),
        ("http://h/a%2Fb", "", "b"),
        ("http://h/..", "", "__unnamed__"),
        ("http://h/x/%2e%2e", "", "__unnamed__"),
        ("http://h/a%00b", "", "__unnamed__"),
        ("http://h", "", "__unnamed__"),
        ("http://h/", 'attachment; filename="c.txt"', "c.txt"),
        ("http://h/", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("http://h/", 'attachment; filename=".."', "__unnamed__"),
        ("http://h/", "nonsense; ;;=", "__unnamed__"),
        ("http://h/" + "n" * 300, "", "__unnamed__"),
    ],
)
def test_names(url: str, disposition: str, name: str) -> None:
    assert file_name(url, {"Content-Disposition": disposition} if disposition else {}) == name


def test_checksums(server: str, fetcher: Fetcher, into: int, tmp_path: Path) -> None:
    source = UrlSource(url=f"{server}/file.txt", checksum=DIGEST)
    assert url_content(source, fetcher, Remembered()) == DIGEST
    assert not heard
    assert fetch_url(source, into, fetcher).content == DIGEST
    os.unlink(tmp_path / "file.txt")
    wrong = "sha256:" + "0" * 64
    with pytest.raises(Mismatch) as caught:
        fetched(f"{server}/file.txt", into, fetcher, checksum=wrong)
    assert str(caught.value) == f"digest mismatch for {server}/file.txt: {DIGEST} (expected: {wrong})"


def test_what_a_server_says_is_unchanged_is_not_fetched(server: str, fetcher: Fetcher, into: int) -> None:
    remembered = Remembered()
    source = UrlSource(url=f"{server}/tagged")
    assert url_content(source, fetcher, remembered) is None
    content = fetched(source.url, into, fetcher, remembered).content
    assert url_content(source, fetcher, remembered) == content
    assert heard == ["GET /tagged", "HEAD /tagged"]
    remembered.keep(source.url, '"another"', content)
    assert url_content(source, fetcher, remembered) is None
    remembered.keep(f"{server}/gone", '"one"', content)
    assert url_content(UrlSource(url=f"{server}/gone"), fetcher, remembered) is None


def test_what_has_no_tag_is_not_remembered(server: str, fetcher: Fetcher, into: int) -> None:
    remembered = Remembered()
    fetched(f"{server}/file.txt", into, fetcher, remembered)
    assert url_content(UrlSource(url=f"{server}/file.txt"), fetcher, remembered) is None


def test_little_is_remembered() -> None:
    remembered = Remembered()
    for number in range(1100):
        remembered.keep(f"http://h/{number}", "tag", "x")
    assert remembered.find("http://h/99") is None
    assert remembered.find("http://h/100") == ("tag", "x")
    remembered.keep("http://h/100", "t" * 5000, "x")
    assert remembered.find("http://h/100") is None


def test_content_is_name_time_and_bytes(server: str, fetcher: Fetcher, tmp_path: Path) -> None:
    contents = set()
    for number, name in enumerate(("file.txt", "tagged", "tagged-other", "never")):
        (tmp_path / str(number)).mkdir()
        place = os.open(tmp_path / str(number), os.O_RDONLY)
        contents.add(fetched(f"{server}/{name}", place, fetcher).content)
        os.close(place)
    assert len(contents) == 4


def test_faults(server: str, fetcher: Fetcher, into: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match=r"failed to GET .* with status 404"):
        fetched(f"{server}/missing", into, fetcher)
    with pytest.raises(System):
        fetched(f"{server}/short", into, fetcher)
    monkeypatch.setattr(remote, "URL_LIMIT", 1000)
    with pytest.raises(TooLarge, match="is larger than 1000 bytes"):
        fetched(f"{server}/file.txt", into, fetcher)


def test_whoever_watches_may_end_it(server: str, fetcher: Fetcher, into: int) -> None:
    class Enough(Exception):
        pass

    def watch(done: int, whole: int) -> None:
        assert 0 < done <= whole == len(CONTENT)
        raise Enough

    with pytest.raises(Enough):
        fetch_url(UrlSource(url=f"{server}/file.txt"), into, fetcher, watch=watch)


NO_GIT = Access(GitProgram("/nowhere", Proxies()))


def context_of(url: str, into: int, fetcher: Fetcher) -> RemoteContext:
    return fetch_context(url, into, fetcher, NO_GIT)


@pytest.mark.parametrize("name", ["dockerfile", "untold"])
def test_a_dockerfile_that_comes_alone(server: str, fetcher: Fetcher, into: int, name: str) -> None:
    made = context_of(f"{server}/{name}", into, fetcher)
    assert made.dockerfile == "FROM busybox\n"
    assert os.listdir(made.context.tree().directory()) == []
    made.context.close()


@pytest.mark.parametrize("name", ["tar", "untold-tar"])
def test_an_archive_from_elsewhere(server: str, fetcher: Fetcher, into: int, name: str) -> None:
    made = context_of(f"{server}/{name}", into, fetcher)
    assert made.dockerfile is None
    assert made.context.dockerfile() == ("Dockerfile", "FROM scratch\n")
    made.context.close()


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("page", BadContext, 'unsupported Content-Type "text/html"'),
        ("nothing", BadContext, "empty response"),
        ("broken-tar", BadArchive, "unexpected EOF"),
        ("long", BadContext, "larger than 4194304 bytes"),
        ("missing", NotFound, "status 404"),
    ],
)
def test_contexts_that_are_none(
    server: str, fetcher: Fetcher, into: int, name: str, error: type[Exception], message: str
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error) as caught:
        context_of(f"{server}/{name}", into, fetcher)
    assert message in str(caught.value)
    fetcher.close()
    # The server lives in this process, and closes its end a moment later.
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before, "a descriptor is left open", 10)


def test_an_address_that_is_none(fetcher: Fetcher, into: int) -> None:
    with pytest.raises(BadContext, match="could not be recognized as URL"):
        context_of("ftp://example.com/x", into, fetcher)


@pytest.mark.parametrize(
    "url", ["https://h/x.git", "git://h/x", "github.com/a/b", "git@h:x", "https://h/x.git#main:sub", "ssh://h/x"]
)
def test_addresses_of_git(fetcher: Fetcher, into: int, url: str) -> None:
    with pytest.raises(System, match="install git"):
        context_of(url, into, fetcher)


def test_what_git_is_asked_for() -> None:
    source = git_source("github.com/a/b#v1:deep/er")
    assert (source.repository, source.reference, source.directory) == ("https://github.com/a/b", "v1", "deep/er")
    with pytest.raises(BadContext, match="not within git root"):
        git_source("https://h/x.git#main:../..")
