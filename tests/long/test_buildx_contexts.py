"""Contexts from elsewhere, with the real buildx: git, URLs, standard input, OCI layouts, other targets."""

import base64
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.daemons import Sampan
from tests.kernel.build.git_server import commit, git, served
from tests.long.buildx import Buildx, ok
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox", "git")

FAR = b"FROM busybox\nRUN echo -n layout > /far\n"
ONE = "FROM busybox\nCOPY note /note\n"


@pytest.fixture
def read(engine: Sampan) -> Callable[..., str]:
    """What a file of an image holds."""

    def read(image: str, path: str = "/note") -> str:
        return ok(engine.docker("run", "--rm", image, "cat", path))

    return read


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def web(directory: Path, handler: type[_Quiet] = _Quiet) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def archive(files: Mapping[str, str], compression: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=f"w:{compression}") as tar:  # type: ignore[call-overload] # a name is made
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return made.getvalue()


def test_a_git_repository_with_reference_and_directory(
    buildx: Buildx, read: Callable[..., str], tmp_path: Path
) -> None:
    place = tmp_path / "served" / "one.git"
    commit(
        place, {"Dockerfile": ONE.encode(), "note": b"first", "below/Dockerfile": ONE.encode(), "below/note": b"deep"}
    )
    git(place, "tag", "v1")
    commit(place, {"note": b"second"})
    with served(tmp_path / "served") as url:
        address = f"{url}/one.git/.git"
        ok(buildx("build", "-t", "newest", address))
        ok(buildx("build", "-t", "tagged", f"{address}#v1"))
        ok(buildx("build", "-t", "deep", f"{address}#v1:below"))
        ok(buildx("build", "-t", "queried", f"{address}?tag=v1&subdir=below"))
        refused = buildx("build", f"{address}#v1:../..")
    assert [read(image) for image in ("newest", "tagged", "deep", "queried")] == ["second", "first", "deep", "deep"]
    assert refused.code != 0
    assert "invalid git reference" in refused.err.decode()


def test_archives_and_dockerfiles_behind_urls(buildx: Buildx, read: Callable[..., str], tmp_path: Path) -> None:
    place = tmp_path / "web"
    place.mkdir()
    (place / "plain").write_bytes(archive({"Dockerfile": ONE, "note": "plain"}))
    (place / "packed.tar.gz").write_bytes(archive({"sub/Other": ONE, "note": "packed"}, "gz"))
    (place / "Dockerfile").write_text("FROM busybox\nRUN echo -n alone > /note\n")
    (place / "broken.tar.gz").write_bytes(b"\x1f\x8b\x08broken")
    local = tmp_path / "local"
    local.mkdir()
    (local / "note").write_text("local")
    (local / "Dockerfile").write_text("FROM scratch\n")
    with web(place) as url:
        ok(buildx("build", "-t", "plain", f"{url}/plain"))
        ok(buildx("build", "-t", "packed", "-f", "sub/Other", f"{url}/packed.tar.gz"))
        ok(buildx("build", "-t", "alone", f"{url}/Dockerfile"))
        ok(
            buildx(
                "build",
                "-t",
                "mixed",
                "-f",
                "-",
                f"{url}/plain",
                stdin=b"FROM busybox\nCOPY note /note\nRUN echo x>>/note\n",
            )
        )
        (place / "Remote").write_text(ONE + "RUN echo -n ' and remote' >> /note\n")
        ok(buildx("build", "-t", "remote-file", "-f", f"{url}/Remote", str(local)))
        broken = buildx("build", f"{url}/broken.tar.gz")
        missing = buildx("build", f"{url}/nothing")
    assert [read(image) for image in ("plain", "packed", "alone")] == ["plain", "packed", "alone"]
    assert read("mixed") == "plainx\n"
    assert read("remote-file") == "local and remote"
    assert broken.code != 0
    assert "404" in missing.err.decode()


def test_standard_input(buildx: Buildx, read: Callable[..., str]) -> None:
    ok(buildx("build", "-t", "sent", "-", stdin=archive({"Dockerfile": ONE, "note": "sent"}, "gz")))
    large = "x" * 9_000_000
    ok(buildx("build", "-t", "large", "-", stdin=archive({"Dockerfile": ONE, "note": large})))
    ok(buildx("build", "-t", "file", "-", stdin=b"FROM busybox\nRUN echo -n file > /note\n"))
    assert read("sent") == "sent"
    assert len(read("large")) == len(large)
    assert read("file") == "file"


def test_named_contexts_from_elsewhere(
    buildx: Buildx, engine: Sampan, read: Callable[..., str], tmp_path: Path
) -> None:
    repository = tmp_path / "served" / "named.git"
    commit(repository, {"note": b"git"})
    (tmp_path / "served" / "file").write_text("web")
    place = tmp_path / "context"
    place.mkdir()
    (place / "Dockerfile").write_text(
        "FROM base\nCOPY --from=git note /git\nCOPY --from=web context /web\nCOPY --from=layout /far /layout\n"
        "RUN cat /git /web /layout > /note\n"
    )
    ok(
        buildx(
            "build",
            "-t",
            "far",
            "-o",
            f"type=oci,dest={tmp_path}/far.tar",
            "-",
            stdin=FAR,
        )
    )
    layout = tmp_path / "layout"
    layout.mkdir()
    with tarfile.open(tmp_path / "far.tar") as tar:
        tar.extractall(layout)
    before = ok(engine.docker("images", "-aq"))
    with served(tmp_path / "served") as git_url, web(tmp_path / "served") as url:
        contexts = {
            "base": "docker-image://busybox",
            "git": f"{git_url}/named.git/.git",
            "web": f"{url}/file",
            "layout": f"oci-layout://{layout}:latest",
        }
        words = [word for name, text in contexts.items() for word in ("--build-context", f"{name}={text}")]
        ok(buildx("build", "-t", "named", *words, str(place)))
    assert read("named") == "gitweblayout"
    ok(engine.docker("rmi", "named"))
    assert ok(engine.docker("images", "-aq")) == before


def test_bake_links_targets_and_makes_a_matrix(
    buildx: Buildx, engine: Sampan, read: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "Base").write_text("FROM busybox\nRUN echo -n base > /note\nENV FROM_BASE=yes\n")
    (tmp_path / "App").write_text('FROM base\nARG WORD\nRUN echo -n " $WORD $FROM_BASE" >> /note\n')
    bake = {
        "group": {"default": {"targets": ["app"]}},
        "target": {
            "base": {"context": str(tmp_path), "dockerfile": "Base"},
            "app": {
                "name": "app-${word}",
                "matrix": {"word": ["one", "two"]},
                "context": str(tmp_path),
                "dockerfile": "App",
                "contexts": {"base": "target:base"},
                "args": {"WORD": "${word}"},
                "tags": ["app:${word}"],
            },
        },
    }
    (tmp_path / "docker-bake.json").write_text(json.dumps(bake))
    ok(buildx("buildx", "bake", "-f", f"{tmp_path}/docker-bake.json"))
    assert [read(f"app:{word}") for word in ("one", "two")] == ["base one yes", "base two yes"]
    assert ok(engine.docker("images", "-q", "-f", "dangling=true")) == ""


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("docker/dockerfile:1", ""),
        ("docker.io/docker/dockerfile:1.20-labs", ""),
        ("docker/dockerfile:1.21", "docker/dockerfile:1.21"),
        ("example.com/other/frontend", "example.com/other/frontend"),
    ],
)
def test_front_ends(buildx: Buildx, tmp_path: Path, syntax: str, words: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"# syntax={syntax}\nFROM busybox\nRUN true\n")
    done = buildx("build", str(tmp_path))
    by_argument = buildx("build", "--build-arg", f"BUILDKIT_SYNTAX={syntax}", "-", stdin=b"FROM busybox\n")
    assert (done.code == 0, by_argument.code == 0) == (not words, not words), (done, by_argument)
    assert words in done.err.decode()


def test_tokens_for_private_repositories(buildx: Buildx, read: Callable[..., str], tmp_path: Path) -> None:
    """A server that gives nothing to whoever has no token: as the main context, as a named one, and in ADD."""
    place = tmp_path / "served" / "private.git"
    commit(place, {"Dockerfile": ONE.encode(), "note": b"private"})
    git(place, "update-server-info")

    class Private(_Quiet):
        def send_head(self) -> io.BytesIO | BinaryIO | None:
            if self.headers.get("Authorization") != "basic " + base64.b64encode(b"x-access-token:hush").decode():
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            return super().send_head()

    token = tmp_path / "token"
    token.write_text("hush\n")
    with web(tmp_path / "served", Private) as url:
        address = f"{url}/private.git/.git"
        refused = buildx("build", address)
        secret = ("--secret", f"id=GIT_AUTH_TOKEN,src={token}")
        ok(buildx("build", *secret, "-t", "private", address))
        text = f"FROM busybox\nADD {address} /added\nCOPY --from=named note /note\nRUN cat /added/note >> /note\n"
        ok(buildx("build", *secret, "--build-context", f"named={address}", "-t", "both", "-", stdin=text.encode()))
        wrong = buildx("build", "--secret", f"id=GIT_AUTH_TOKEN.elsewhere.test,src={token}", address)
    assert refused.code != 0
    assert wrong.code != 0
    assert "hush" not in wrong.err.decode()
    assert read("private") == "private"
    assert read("both") == "privateprivate"
