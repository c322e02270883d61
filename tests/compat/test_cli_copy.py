"""The same `cp` through `docker` and `sampan`: the same files at the other end, or the same refusal."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-client:28", "busybox")

SCRIPT = (
    "mkdir -p /d/sub /empty; echo a > /d/a; echo b > /d/sub/b; ln -s /d /link; ln -s a /d/rel; ln /d/a /d/hard;"
    " chmod 4750 /d/sub/b; chown 7:8 /d/a; touch -d @1000000000 /d/a"
)
COPIED = 1_000_000_000
CLIENTS = ("docker", "sampan")


@pytest.fixture(scope="module")
def box(engine: Sampan) -> str:
    made = engine.docker("run", "--name", "origin", "--net", "none", "busybox", "sh", "-c", SCRIPT)
    assert made.code == 0, made
    return "origin"


def command(engine: Sampan, client: str, *words: str, stdin: bytes = b"") -> Outcome:
    return engine.docker(*words, stdin=stdin) if client == "docker" else engine.sampan(*words, stdin=stdin)


def listing(directory: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        what: object = ""
        if stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        # Only a moment that was copied: what the test itself made is a little younger each time.
        moment = int(status.st_mtime) if int(status.st_mtime) == COPIED else 0
        found[str(path.relative_to(directory))] = (oct(status.st_mode), status.st_uid, status.st_nlink, moment, what)
    return found


def message(outcome: Outcome, *names: str) -> str:
    """The last line of what the command said; the client's own name and the test's directories made the same."""
    lines = [line for line in outcome.err.decode().splitlines() if line.strip() and "level=error" not in line]
    text = lines[-1] if lines else ""
    for name in names:
        text = text.replace(name, "HERE")
    return text


def with_links(cases: list[tuple[str, str]], sources: set[str]) -> list[tuple[str, str, bool]]:
    """All the cases without -L; those of `sources`, where it could matter, with it too."""
    return [(*case, False) for case in cases] + [(*case, True) for case in cases if case[0] in sources]


OUT = [
    ("/d", "new"), ("/d", "there"), ("/d/.", "new"), ("/d/.", "there"), ("/d/", "new"), ("/d/a", "new"),
    ("/d/a", "there"), ("/d/a", "file"), ("/d/a", "new/"), ("/d", "file"), ("/link", "new"), ("/link/", "new"),
    ("/link", "there"), ("/d/rel", "there"), ("/nosuch", "new"), ("/d/a", "no/such"), ("/empty", "new"),
    ("/d/sub/b", "to-file"), ("/d/a", "to-dir"), ("/d", "clash"), ("/d/a", "."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target", "follow"), with_links(OUT, {"/link", "/link/", "/d/rel", "/d", "/nosuch"})
)
def test_out(engine: Sampan, box: str, tmp_path: Path, source: str, target: str, follow: bool) -> None:
    seen = []
    for client in CLIENTS:
        place = tmp_path / client
        (place / "there").mkdir(parents=True)
        (place / "clash").mkdir()
        (place / "clash" / "d").write_text("a file where a directory comes")
        (place / "file").write_text("old")
        (place / "to-file").symlink_to("file")
        (place / "to-dir").symlink_to("there")
        flags = ["-L"] if follow else []
        where = f"{place}/{target}" if target != "." else f"{place}/."
        done = command(engine, client, "cp", *flags, f"{box}:{source}", where)
        seen.append((done.code, listing(place), message(done, str(place))))
    assert seen[0] == seen[1]


IN = [
    ("dir", "/new"), ("dir", "/there"), ("dir/.", "/new"), ("dir/.", "/there"), ("dir/", "/new"), ("dir/f", "/new"),
    ("dir/f", "/there"), ("dir/f", "/there/"), ("dir/f", "/old"), ("dir/f", "/new/"), ("dir", "/old"), ("link", "/new"),
    ("link/", "/new"), ("link", "/there"), ("dir/f", "/to-dir"), ("dir/f", "/to-file"), ("nosuch", "/new"),
    ("dir/f", "/no/such"), ("dir", "/clash"), ("dir/to-f", "/new"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "follow"), with_links(IN, {"link", "link/", "dir/to-f", "nosuch"}))
def test_in(engine: Sampan, tmp_path: Path, source: str, target: str, follow: bool) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "f").write_text("f")
    (tmp_path / "dir" / "sub" / "g").write_text("g")
    (tmp_path / "dir" / "to-f").symlink_to("f")
    (tmp_path / "link").symlink_to("dir")
    os.chown(tmp_path / "dir" / "f", 5, 6)
    os.utime(tmp_path / "dir" / "f", (1_000_000_000, 1_000_000_000))
    seen = []
    for client in CLIENTS:
        bind = tmp_path / f"root-{client}"
        (bind / "there").mkdir(parents=True)
        (bind / "clash").mkdir()
        (bind / "clash" / "dir").write_text("a file where a directory comes")
        (bind / "old").write_text("old")
        (bind / "to-dir").symlink_to("there")
        (bind / "to-file").symlink_to("old")
        name = f"in-{client}"
        made = engine.docker("create", "--name", name, "--net", "none", "-v", f"{bind}:/r", "busybox", "true")
        assert made.code == 0, made
        flags = ["-L"] if follow else []
        done = command(engine, client, "cp", *flags, f"{tmp_path}/{source}", f"{name}:/r{target}")
        seen.append((done.code, listing(bind), message(done, name, str(bind))))
        assert engine.docker("rm", name).code == 0
    assert seen[0] == seen[1]


@pytest.fixture
def empty(engine: Sampan) -> Iterator[str]:
    assert engine.docker("create", "--name", "empty", "--net", "none", "-u", "www-data", "busybox", "true").code == 0
    yield "empty"
    assert engine.docker("rm", "-f", "empty").code == 0


def test_streams(engine: Sampan, box: str, empty: str) -> None:
    archives = [command(engine, client, "cp", f"{box}:/d", "-") for client in CLIENTS]
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[1].out)) as archive:
        assert set(archive.getnames()) == {"d", "d/a", "d/hard", "d/rel", "d/sub", "d/sub/b"}
    assert command(engine, "sampan", "cp", "-", f"{empty}:/tmp", stdin=archives[1].out).code == 0
    assert command(engine, "sampan", "cp", f"{empty}:/tmp/d/a", "-").code == 0
    refused = [message(command(engine, client, "cp", "-", f"{empty}:/nosuch", stdin=b"")) for client in CLIENTS]
    assert refused[0] == refused[1] == 'destination "empty:/nosuch" must be a directory'


def test_archive_mode_gives_to_the_containers_user(engine: Sampan, empty: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f")
    owners = []
    for client in CLIENTS:
        assert command(engine, client, "cp", "-a", str(tmp_path / "f"), f"{empty}:/tmp/{client}").code == 0
        out = engine.docker("cp", f"{empty}:/tmp/{client}", "-").out
        with tarfile.open(fileobj=io.BytesIO(out)) as archive:
            (member,) = archive.getmembers()
            owners.append((member.uid, member.gid))
    assert owners == [(33, 33), (33, 33)]


@pytest.mark.parametrize(
    "words",
    [
        ("a:/x", "b:/y"), ("/x", "/y"), ("", "a:/x"), ("a:/x", ""), ("nosuch:/x", "/tmp/x"), ("/etc/passwd", "nosuch:/x"),
        ("a",), ("./a:b", "./c:d"),
    ],
)  # fmt: skip
def test_refusals(engine: Sampan, words: tuple[str, ...]) -> None:
    outcomes = [command(engine, client, "cp", *words) for client in CLIENTS]
    assert outcomes[0].code == outcomes[1].code != 0
    if len(words) == 2:
        assert message(outcomes[0]) == message(outcomes[1])


def test_a_hostile_archive_leaves_nothing_outside(tmp_path: Path) -> None:
    """What a daemon sends is no more trusted than its container."""
    from sampan.cli.copy.unpacking import unpack
    from sampan.cli.failures import Exit
    from tests.security.hostile_tars import cases

    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_bytes(b"canary")
    before = listing(canary)
    for number, case in enumerate(cases(os.fsencode(canary))):
        if "gzip" in case.name:
            continue  # a daemon sends no compressed archives
        target = tmp_path / f"t{number}"
        target.mkdir()
        try:
            unpack(iter([case.archive]), str(target), "f", "renamed")
        except Exit:
            pass
        assert listing(canary) == before, case.name
    assert {path.name for path in tmp_path.iterdir()} - {f"t{number}" for number in range(300)} == {"canary"}


def test_diff_commit_and_export_are_the_same(engine: Sampan, box: str, tmp_path: Path) -> None:
    for words in (
        ["diff", box],
        ["container", "diff", box],
        ["diff", "nosuch"],
        ["export", "nosuch"],
        ["commit", "nosuch"],
    ):
        outcomes = [command(engine, client, *words) for client in CLIENTS]
        assert outcomes[0] == outcomes[1], words
    exported = [command(engine, client, "export", box).out for client in CLIENTS]
    assert exported[0] == exported[1]
    assert command(engine, "sampan", "export", "-o", str(tmp_path / "x.tar"), box).code == 0
    assert (tmp_path / "x.tar").read_bytes() == exported[0]
    made = command(engine, "sampan", "commit", "-m", "note", "-a", "me", "-c", "USER 5", "--pause=false", box, "own:1")
    assert made.code == 0, made
    shown = engine.docker("inspect", "-f", "{{.Id}} {{.Comment}} {{.Author}} {{.Config.User}}", "own:1").text
    assert shown == f"{made.text} note me 5"
    assert engine.docker("rmi", "own:1").code == 0
