"""ADD of git repositories and contexts from them, with the machine's git and servers on loopback."""

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sampan.build.operations import GitSource
from sampan.build.tree.git import Access, BadGit, fetch_git, git_commit
from sampan.build.tree.git_program import GitFailed, GitProgram
from sampan.build.tree.remote_context import fetch_context
from sampan.build.tree.source import DirectoryTree
from sampan.errors import System
from sampan.images.steps import Cancellation, Cancelled
from sampan.registry.fetching import Fetcher
from sampan.registry.settings import Proxies, Settings
from tests.kernel.build.git_server import AUTHOR, commit, git, served
from tests.kernel.build.trees import opened, shown

pytestmark = pytest.mark.requires("root", "openat2", "git")

ACCESS = Access(GitProgram(os.environ["PATH"], Proxies()))
FILES: dict[str, str | bytes | None] = {"a.txt": b"a", "sub/b.txt": b"b", "link": "a.txt"}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repositories")


@pytest.fixture(scope="module", params=[True, False], ids=["clever", "files"])
def server(request: pytest.FixtureRequest, repositories: Path) -> Iterator[str]:
    with served(repositories, request.param) as url:
        yield url


@pytest.fixture(scope="module")
def only(repositories: Path) -> Iterator[str]:
    with served(repositories) as url:
        yield url


@pytest.fixture(scope="module")
def one(repositories: Path) -> dict[str, str]:
    place = repositories / "one"
    first = commit(place, FILES)
    git(place, "tag", "light")
    git(place, "tag", "-a", "-m", "noted", "noted")
    second = commit(place, {"a.txt": b"A", "sub/b.txt": None})
    git(place, "branch", "side", first)
    git(place, "update-server-info")
    return {"first": first, "second": second}


def fetched(source: GitSource, into: Path, access: Access = ACCESS) -> tuple[str, Path]:
    into.mkdir()
    with opened(into) as place:
        told = git_commit(source, access, place)
        tree = fetch_git(source, told, access, place)
        os.close(tree.root)
    return told, into / "tree"


def test_references(only: str, one: dict[str, str], tmp_path: Path) -> None:
    names = {
        "": "second",
        "main": "second",
        "side": "first",
        "light": "first",
        "noted": "first",
        "refs/tags/light": "first",
    }
    with opened(tmp_path) as place:
        for name, which in names.items():
            assert git_commit(GitSource(repository=f"{only}/one/.git", reference=name), ACCESS, place) == one[which]


@pytest.mark.parametrize("reference", ["noted", "by id"])
def test_a_commit_that_is_no_branch(server: str, one: dict[str, str], tmp_path: Path, reference: str) -> None:
    name = one["first"] if reference == "by id" else reference
    told, tree = fetched(GitSource(repository=f"{server}/one/.git", reference=name), tmp_path / "into")
    assert told == one["first"]
    assert shown(tree) == FILES


def test_times_and_modes_are_always_the_same(only: str, one: dict[str, str], tmp_path: Path) -> None:
    _, tree = fetched(GitSource(repository=f"{only}/one/.git", reference="side"), tmp_path / "into")
    paths = [tree, *tree.rglob("*")]
    assert {path.lstat().st_mtime for path in paths} == {1_000_000_000}
    assert {stat.S_IMODE(path.lstat().st_mode) for path in paths} == {0o755, 0o644, 0o777}
    assert not (tmp_path / "into/git").exists()


def test_the_git_directory_is_kept_when_asked_for(only: str, one: dict[str, str], tmp_path: Path) -> None:
    _, tree = fetched(GitSource(repository=f"{only}/one/.git", keep_git_dir=True), tmp_path / "into")
    assert git(tree, "rev-parse", "HEAD") == one["second"]
    assert not (tree / ".git/hooks").exists()


def test_a_directory_of_it(only: str, one: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    with opened(tmp_path / "into") as place:
        source = GitSource(repository=f"{only}/one/.git", reference="side", directory="sub")
        tree = fetch_git(source, one["first"], ACCESS, place)
        assert os.listdir(tree.root) == ["b.txt"]
        os.close(tree.root)


@pytest.mark.parametrize("directory", ["nothing", "a.txt", "out", "../tree", "up/etc"])
def test_a_directory_that_is_none(only: str, repositories: Path, tmp_path: Path, directory: str) -> None:
    where = repositories / "links"
    told = (
        git(where, "rev-parse", "HEAD")
        if where.exists()
        else commit(where, {"out": "/etc", "up": "../..", "a.txt": b""})
    )
    (tmp_path / "into").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with opened(tmp_path / "into") as place:
        source = GitSource(repository=f"{only}/links/.git", directory=directory)
        with pytest.raises((BadGit, OSError), match=r"not a directory|Invalid cross-device link"):
            fetch_git(source, told, ACCESS, place)
    assert len(os.listdir("/proc/self/fd")) == before


def test_checksums(only: str, one: dict[str, str], tmp_path: Path) -> None:
    fetched(GitSource(repository=f"{only}/one/.git", checksum=one["second"][:12]), tmp_path / "one")
    with pytest.raises(BadGit, match=f"expected checksum to match {one['first']}, got {one['second']}"):
        fetched(GitSource(repository=f"{only}/one/.git", checksum=one["first"]), tmp_path / "two")
    with pytest.raises(BadGit, match="expected hex commit hash"):
        fetched(GitSource(repository=f"{only}/one/.git", checksum="sha256:x"), tmp_path / "three")


def test_submodules(only: str, one: dict[str, str], repositories: Path, tmp_path: Path) -> None:
    where = repositories / "super"
    commit(where, {"top": b"top"})
    git(where, "-c", "protocol.allow=always", "submodule", "add", "-q", f"{only}/one/.git", "parts/one")
    told = commit(where, {}) if git(where, "status", "--porcelain") else git(where, "rev-parse", "HEAD")
    found, tree = fetched(GitSource(repository=f"{only}/super/.git"), tmp_path / "into")
    assert found == told
    assert (tree / "parts/one/a.txt").read_bytes() == b"A"
    assert not (tree / "parts/one/.git").exists()


@pytest.mark.parametrize("form", ["{}", "file://{}", "ext::sh -c touch% {}/escaped"])
def test_a_submodule_on_the_host(only: str, one: dict[str, str], repositories: Path, tmp_path: Path, form: str) -> None:
    """A repository that names a place on the daemon's machine gets nothing of it."""
    where = repositories / f"evil{len(form)}"
    commit(where, {"top": b""})
    url = form.format(repositories / "one")
    git(where, "update-index", "--add", "--cacheinfo", f"160000,{one['second']},secret")
    (where / ".gitmodules").write_text(f'[submodule "secret"]\n\tpath = secret\n\turl = {url}\n')
    git(where, "add", ".gitmodules")
    git(where, "commit", "-q", "-m", "evil")
    with pytest.raises(GitFailed, match="not allowed"):
        fetched(GitSource(repository=f"{only}/{where.name}/.git"), tmp_path / "into")
    assert not (repositories / "one/escaped").exists()
    assert not (tmp_path / "into/tree/secret/a.txt").exists()


@pytest.mark.parametrize("form", ["{}", "file://{}", "ext::sh -c touch% {}/escaped"])
def test_a_repository_on_the_host(one: dict[str, str], repositories: Path, tmp_path: Path, form: str) -> None:
    repository = form.format(repositories / "one")
    with pytest.raises(GitFailed, match="not allowed"):
        fetched(GitSource(repository=repository), tmp_path / "into")
    escaped = repositories / "one/escaped"
    assert not escaped.exists()
    # Left to itself, git takes it.
    plain = ["git", "-c", "protocol.ext.allow=always", "ls-remote", repository]
    done = subprocess.run(plain, env=AUTHOR, capture_output=True, text=True)
    assert one["second"] in done.stdout or escaped.exists()
    escaped.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("--upload-pack=touch /tmp/escaped", ""),
        ("http://x/y.git", "--upload-pack=x"),
        ("-oProxyCommand=x@h:p", ""),
        ("http://x\n", ""),
    ],
)
def test_what_git_would_take_for_an_option(tmp_path: Path, repository: str, reference: str) -> None:
    with pytest.raises(BadGit, match="invalid git reference"):
        fetched(GitSource(repository=repository, reference=reference), tmp_path / "into")


def test_what_is_not_there(only: str, one: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadGit, match="repository does not contain ref nothing"):
        fetched(GitSource(repository=f"{only}/one/.git", reference="nothing"), tmp_path / "one")
    with pytest.raises(GitFailed, match="not found"):
        fetched(GitSource(repository=f"{only}/nothing/.git"), tmp_path / "two")
    with pytest.raises(GitFailed, match=r"not our ref|remote error|fatal"):
        fetched(GitSource(repository=f"{only}/one/.git", reference="1" * 40), tmp_path / "three")


def test_no_password_is_told(only: str, tmp_path: Path) -> None:
    address = only.replace("http://", "http://name:secret@")
    with pytest.raises(GitFailed) as caught:
        fetched(GitSource(repository=f"{address}/nothing/.git"), tmp_path / "into")
    assert "secret" not in str(caught.value)
    assert "xxxxx@" in str(caught.value)


def test_a_machine_without_git(tmp_path: Path) -> None:
    with pytest.raises(System, match="install git"):
        fetched(
            GitSource(repository="https://example.com/x.git"),
            tmp_path / "into",
            Access(GitProgram("/nowhere", Proxies())),
        )


def test_a_build_that_is_called_off(tmp_path: Path) -> None:
    end = Cancellation()
    end.cancel()
    with pytest.raises(Cancelled):
        fetched(GitSource(repository="http://127.0.0.1:1/x.git"), tmp_path / "into", Access(ACCESS.program, end=end))


def test_a_context_from_git(server: str, one: dict[str, str], tmp_path: Path) -> None:
    fetcher = Fetcher(Settings())
    for number, (url, names) in enumerate(
        ((f"{server}/one/.git", {"a.txt", "link"}), (f"{server}/one/.git#side:sub", {"b.txt"}))
    ):
        (tmp_path / str(number)).mkdir()
        with opened(tmp_path / str(number)) as into:
            made = fetch_context(url, into, fetcher, ACCESS)
            assert set(os.listdir(made.context.tree().directory())) == names
            assert made.dockerfile is None
            made.context.close()
        assert not (tmp_path / str(number) / "checkout").exists()


def test_source_trees_say_where_they_are_from(only: str, one: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    with opened(tmp_path / "into") as place:
        tree: DirectoryTree = fetch_git(GitSource(repository=f"{only}/one/.git"), one["second"], ACCESS, place)
        assert tree.label == f"{only}/one/.git"
        os.close(tree.root)


def test_a_header_goes_to_the_repositorys_own_server_alone(tmp_path: Path) -> None:
    """In no argument of the program, and not where a redirection leads."""
    seen: list[tuple[int, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            port = int(self.headers["Host"].rpartition(":")[2])
            seen.append((port, self.headers.get("Authorization", "")))
            if port == other.server_address[1]:
                self.send_error(404)
                return
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{other.server_address[1]}{self.path}")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as first,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other,
    ):
        for server in (first, other):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        access = Access(ACCESS.program, authorization="basic c2VjcmV0")
        source = GitSource(repository=f"http://127.0.0.1:{first.server_address[1]}/x.git")
        with opened(tmp_path) as place, pytest.raises(GitFailed) as caught:
            git_commit(source, access, place)
        for server in (first, other):
            server.shutdown()
    assert "c2VjcmV0" not in str(caught.value)
    assert (first.server_address[1], "basic c2VjcmV0") in seen
    assert all(not header for port, header in seen if port == other.server_address[1]), seen
