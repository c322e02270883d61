"""Volumes and mounts by Docker 28 and by us: the same answers, and the same to be seen inside."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon, Sampan, running_sampan
from tests.long.newest import running_newest_docker
from tests.requires import requires

pytestmark = requires("root", "overlay", "dockerd", "docker-client", "busybox", "netns")

OPTIONS: list[dict[str, str]] = [
    {"nosuch": "x"},
    {"type": "tmpfs"},
    {"device": "tmpfs"},
    {"o": "size=1m", "type": "tmpfs"},
    {"size": "10m"},
    {"size": "0"},
    {"size": "x"},
    {"size": "-1"},
    {"size": "1q"},
    {"type": "cifs", "device": "//host:445/x"},
    {"type": "cifs", "device": "//host:bad/x"},
    {"type": "", "device": "", "o": ""},
]
REQUESTS: list[tuple[str, str, object]] = [
    ("POST", "/volumes/create", {"Name": "x"}),
    ("POST", "/volumes/create", {"Name": "../x"}),
    ("POST", "/volumes/create", {"Name": "one", "Driver": "nosuch"}),
    ("POST", "/volumes/create", {"Name": "kept", "Labels": {"b": "c"}}),
    ("GET", "/volumes/nosuch", None),
    ("GET", "/volumes/kept", None),
    ("GET", '/volumes?filters={"nosuch":["x"]}', None),
    ("GET", '/volumes?filters={"dangling":["maybe"]}', None),
    ("GET", '/volumes?filters={"dangling":["true"]}', None),
    ("GET", '/volumes?filters={"dangling":["false"]}', None),
    ("GET", '/volumes?filters={"label":["a"]}', None),
    ("GET", '/volumes?filters={"label":["a=b"]}', None),
    ("GET", '/volumes?filters={"label":["a=c"]}', None),
    ("GET", '/volumes?filters={"name":["ep"]}', None),
    ("GET", '/volumes?filters={"name":["^k.*t$"]}', None),
    ("GET", '/volumes?filters={"driver":["local"]}', None),
    ("GET", '/volumes?filters={"driver":["other"]}', None),
    ("DELETE", "/volumes/nosuch", None),
    ("DELETE", "/volumes/nosuch?force=1", None),
    ("DELETE", "/volumes/used", None),
    ("DELETE", "/volumes/used?force=1", None),
    ("PUT", "/volumes/kept?version=1", {"Spec": {}}),
    ("POST", '/volumes/prune?filters={"nosuch":["x"]}', None),
    ("POST", '/volumes/prune?filters={"all":["maybe"]}', None),
    ("POST", '/volumes/prune?filters={"label":["nothing"]}', None),
]
# Not the peer groups: Docker's volumes are slaves of mounts on the host, which here does not see them.
_LOOK = "grep ' /x' /proc/self/mountinfo | cut -d' ' -f5-6; "
_PARTS = "mkdir /p/sub; touch /p/sub/f; ln -s /etc /p/out"
_HINT = "Run 'docker run --help' for more information"
RUNS: list[list[str]] = [
    ["-v", "tmp:/x", "busybox", "sh", "-c", _LOOK + "stat -c '%a %u' /x"],
    ["-v", "bound:/x", "busybox", "sh", "-c", _LOOK + "cat /x/there; touch /x/a"],
    ["-v", "bound-ro:/x", "busybox", "sh", "-c", _LOOK + "touch /x/a"],
    ["-v", "missing:/x", "busybox", "true"],
    ["-v", "unknown:/x", "busybox", "true"],
    ["-v", "secret:/x", "busybox", "true"],
    ["-v", "{place}:/x:ro", "busybox", "sh", "-c", _LOOK + "touch /x/sub/a"],
    ["-v", "{place}:/x:ro,rslave", "busybox", "sh", "-c", _LOOK],
    ["--mount", "type=bind,src={place},dst=/x,readonly", "busybox", "sh", "-c", _LOOK + "touch /x/sub/a"],
    ["--mount", "type=bind,src={place},dst=/x,ro,bind-recursive=writable", "busybox", "sh", "-c", _LOOK + "touch /x/a /x/sub/a"],
    ["--mount", "type=bind,src={place},dst=/x,ro,bind-recursive=readonly,bind-propagation=rprivate", "busybox", "sh", "-c", _LOOK],
    ["--mount", "type=bind,src={place},dst=/x,ro,bind-recursive=readonly", "busybox", "sh", "-c", _LOOK],
    ["--mount", "type=bind,src={place},dst=/x,bind-recursive=disabled", "busybox", "sh", "-c", _LOOK + "ls /x/sub"],
    ["--mount", "type=bind,src={place}/nosuch,dst=/x", "busybox", "true"],
    ["--mount", "type=bind,src={place}/made,dst=/x,bind-create-src", "busybox", "ls", "-d", "/x"],
    ["-v", "{place}/made-too:/x", "busybox", "ls", "-d", "/x"],
    ["-v", "{place}:/x:nosuch", "busybox", "true"],
    ["-v", "{place}:/x:ro,rw", "busybox", "true"],
    ["-v", "{place}:/", "busybox", "true"],
    ["-v", "kept:relative", "busybox", "true"],
    ["-v", "kept:/x", "-v", "used:/x", "busybox", "true"],
    ["--volumes-from", "donor", "busybox", "sh", "-c", "grep -c ' /donated' /proc/self/mountinfo; touch /donated/a"],
    ["--volumes-from", "donor:ro", "busybox", "sh", "-c", "touch /donated/a /bound/a"],
    ["--volumes-from", "donor:rw", "busybox", "sh", "-c", "touch /donated/a; echo $?"],
    ["--volumes-from", "donor:z", "busybox", "true"],
    ["--volumes-from", "donor:rslave", "busybox", "true"],
    ["--volumes-from", "nosuch", "busybox", "true"],
    ["-v", "fresh-1:/bin", "busybox", "/bin/busybox", "ls", "/bin/sh"],
    ["-v", "fresh-2:/etc:nocopy", "busybox", "ls", "/etc/passwd"],
    ["--mount", "type=volume,src=fresh-3,dst=/etc,volume-nocopy", "busybox", "ls", "/etc/passwd"],
    ["--mount", "type=volume,src=fresh-4,dst=/etc", "busybox", "ls", "/etc/passwd"],
    ["--mount", "type=volume,src=parts,dst=/x,volume-subpath=sub", "busybox", "ls", "/x"],
    ["--mount", "type=volume,src=parts,dst=/x,volume-subpath=../sub", "busybox", "ls", "/x"],
    ["--mount", "type=image,src=busybox,dst=/x", "busybox", "sh", "-c", "ls /x/bin/sh; touch /x/a"],
    ["--mount", "type=image,src=busybox,dst=/x,image-subpath=bin", "busybox", "ls", "/x/sh"],
    ["--mount", "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770", "busybox", "sh", "-c", "stat -c %a /x; df -k /x"],
    ["--tmpfs", "/x:ro,size=2m", "busybox", "sh", "-c", "touch /x/a"],
]  # fmt: skip


DIFFERENT: list[list[str]] = [
    # Refused by both. Docker looks before it makes the container's world, and says "cannot access path …" and "path concatenation
    # escapes the base directory …"; here links lead inside the volume, where nothing is.
    ["--mount", "type=volume,src=parts,dst=/x,volume-subpath=nosuch", "busybox", "ls", "/x"],
    ["--mount", "type=volume,src=parts,dst=/x,volume-subpath=out", "busybox", "ls", "/x"],
    # The words of an older release.
    ["--tmpfs", "/x:nosuch", "busybox", "true"],
]


def prepare(engine: Daemon, place: Path) -> None:
    engine.load_busybox()

    def docker(*words: str) -> None:
        done = engine.docker(*words)
        assert done.code == 0, (words, done)

    for name, options in {
        "tmp": ("type=tmpfs", "device=tmpfs", "o=size=3m,uid=7,mode=750,noexec"),
        "bound": ("type=none", f"device={place}", "o=bind"),
        "bound-ro": ("type=none", f"device={place}", "o=bind,ro"),
        "missing": ("type=none", "device=/nosuch", "o=bind"),
        "unknown": ("type=nosuchfs", "device=x"),
        "secret": ("type=nosuchfs", "device=x", "o=username=a,password=b,x=y"),
    }.items():
        docker("volume", "create", *(part for option in options for part in ("-o", option)), name)
    docker("volume", "create", "--label", "a=b", "kept")
    docker("create", "--name", "user", "-v", "used:/u", "busybox")
    docker("create", "--name", "donor", "-v", "donated:/donated", "-v", f"{place}:/bound", "busybox")
    docker(
        "run",
        "--rm",
        "--net",
        "none",
        "-v",
        "parts:/p",
        "busybox",
        "sh",
        "-c",
        "mkdir /p/sub; touch /p/sub/f; ln -s /etc /p/out",
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = Path("/tmp") / f"beside-{tmp_path_factory.mktemp('x').parent.name}"
    (made / "sub").mkdir(parents=True)
    (made / "there").write_text("there\n")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", made / "sub"], check=True)
    yield made
    subprocess.run(["umount", made / "sub"], check=True)
    subprocess.run(["rm", "-r", made], check=True)


@pytest.fixture(scope="module")
def pair(place: Path) -> Iterator[tuple[Sampan, Daemon]]:
    with running_newest_docker() as docker, running_sampan() as sampan:
        for engine in (docker, sampan):
            prepare(engine, place)
        yield sampan, docker


def plain(engine: Daemon, text: str) -> str:
    """Without what must differ: directories, ids, times."""
    text = text.replace(str(engine.data_root), "ROOT").replace(engine.kind, "KIND")
    text = re.sub(r"[0-9a-f]{64}", "ID", text)
    text = re.sub(r"[0-9a-f]{12}\b", "ID", text)
    text = text.replace("WARNING: Image mount is an experimental feature\n", "")  # of Docker's
    text = re.sub(
        r"is mounted on \S+", "is mounted on PLACE", text
    )  # Docker stands in a mount namespace of its own here
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)", "TIME", text)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(pair: tuple[Sampan, Daemon], options: dict[str, str]) -> None:
    found = []
    for engine in pair:
        answer = engine.api("POST", "/volumes/create", {"Name": "tried", "DriverOpts": options})
        found.append((answer.status, json.loads(plain(engine, answer.body.decode()))))
        engine.api("DELETE", "/volumes/tried")
    assert found[0] == found[1]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=str)
def test_requests(pair: tuple[Sampan, Daemon], method: str, path: str, body: object) -> None:
    found = []
    for engine in pair:
        answer = engine.api(method, path, body)
        text = plain(engine, answer.body.decode())
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if isinstance(value, dict) and isinstance(value.get("Volumes"), list):
            value["Volumes"].sort(key=lambda volume: volume["Name"])
        found.append((answer.status, value))
    assert found[0] == found[1]


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_runs(pair: tuple[Sampan, Daemon], place: Path, words: list[str]) -> None:
    found = []
    for engine in pair:
        given = [word.replace("{place}", str(place)) for word in words]
        done = engine.docker("run", "--rm", "--net", "none", *given)
        error = "" if done.code == 0 else plain(engine, done.err.decode()).replace(_HINT, "").strip()
        found.append((done.code, plain(engine, done.out.decode()), error))
    assert found[0] == found[1]


@pytest.mark.parametrize("words", DIFFERENT, ids=" ".join)
def test_runs_that_both_refuse_in_words_of_their_own(pair: tuple[Sampan, Daemon], words: list[str]) -> None:
    for engine in pair:
        assert engine.docker("run", "--rm", "--net", "none", *words).code in (125, 127)
