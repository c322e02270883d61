"""Security corpus, section D: files copied out of and into containers that work against it."""

import bz2
import gzip
import io
import lzma
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from sampan.cli.copy.unpacking import unpack
from sampan.cli.failures import Exit
from tests.api.deaths_of_copies import porters
from tests.archives import Layer
from tests.daemons import Sampan
from tests.requires import requires
from tests.security.hostile import Canary, load
from tests.security.hostile_tars import Case, cases
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

ROUNDS = 60
SWAP = """
mkdir -p /d; cd /d; ln -sfn {canary} still
while :; do
  rm -rf t; ln -s {canary} t; rm -f t; mkdir t; echo inside > t/secret; echo inside > t/hosts; mkdir t/directory
done
"""


def tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(params=["root", "volume"])
def swapping(request: pytest.FixtureRequest, engine: Sampan, canary: Canary, tmp_path: Path) -> Iterator[str]:
    """A container that swaps /d/t between a directory and a link to the canary as fast as it can; /d/still is such a link."""
    where = ["-v", f"{tmp_path}:/d"] if request.param == "volume" else []
    name = f"swaps-{request.param}"
    script = SWAP.format(canary=canary.path)
    made = engine.docker("run", "-d", "--name", name, "--net", "none", *where, "busybox", "sh", "-c", script)
    assert made.code == 0, made
    yield name
    assert engine.docker("rm", "-f", name).code == 0


def test_sec_cve_2018_15664_out(engine: Sampan, swapping: str, canary: Canary) -> None:
    for path in ("/d/t/secret", "/d/t", "/d/t/", "/d") * (ROUNDS // 4):
        answer = engine.api("GET", f"/containers/{swapping}/archive?path={path}")
        assert canary.secret.encode() not in answer.body


def test_sec_cve_2018_15664_in(engine: Sampan, swapping: str, canary: Canary) -> None:
    """The canary fixture compares the canary, down to its times, at the end."""
    for number in range(ROUNDS):
        path, name = (("/d/t", "secret"), ("/d", "t/hosts"), ("/d/t/directory", "file"))[number % 3]
        engine.api("PUT", f"/containers/{swapping}/archive?path={path}", tar(name, b"evil"))


def _hostile_image(layer: Layer) -> None:
    """Everything that a careless helper would load or run after it entered a root."""
    program = b"#!/bin/sh\ntouch /pwned\n"
    for name in ("tar", "xz", "unpigz", "zstd", "gzip", "python3"):
        layer.file(f"usr/bin/{name}", program, 0o755)
    layer.file("etc/ld.so.preload", b"/lib/evil.so\n")
    layer.file("lib/evil.so", b"\x7fELF")
    for name in ("libnss_files.so.2", "libnss_compat.so.2"):
        layer.file(f"lib/x86_64-linux-gnu/{name}", b"\x7fELF")
    trap = b"open('/pwned', 'w').close()\n"
    for name in ("sitecustomize", "lzma", "pwd", "encodings/idna", "tarfile"):
        layer.file(f"usr/lib/python3/dist-packages/{name}.py", trap)
        layer.file(f"{name}.py", trap)
    layer.file("etc/nsswitch.conf", b"passwd: compat\n")


@pytest.mark.parametrize("start", [True, False], ids=["running", "at-rest"])
def test_sec_cve_2019_14271_nothing_of_the_container_is_loaded(engine: Sampan, start: bool) -> None:
    image = load(engine, "trapped", _hostile_image)
    name = f"trapped-{start}"
    command = ["create", "--name", name, "--net", "none", "-u", "www-data", image, "sleep", "1000"]
    assert engine.docker(*command).code == 0
    if start:
        assert engine.docker("start", name).code == 0
    body = tar("in", os.urandom(4096))
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(str(engine.socket))
        target = f"/containers/{name}/archive?path=/tmp&copyUIDGID=1"
        held.sendall(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:600])
        porter = _porter(engine)
        _assert_confined(porter)
        held.sendall(body[600:])
        assert held.recv(100).startswith(b"HTTP/1.1 200")
    assert engine.api("GET", f"/containers/{name}/archive?path=/usr").status == 200
    assert engine.api("HEAD", f"/containers/{name}/archive?path=/pwned").status == 404


def _porter(engine: Sampan) -> Path:
    """The one porter of this daemon, when it has given up its powers."""
    found: list[Path] = []

    def confined() -> bool:
        found[:] = [Path(f"/proc/{porter}") for porter in porters(engine)]
        return bool(found) and "Seccomp:\t2" in (found[0] / "status").read_text()

    eventually(confined, "no porter is at work")
    return found[0]


def _assert_confined(porter: Path) -> None:
    status = dict(line.split(":\t", 1) for line in (porter / "status").read_text().splitlines() if ":\t" in line)
    allowed = sum(1 << cap for cap in (0, 1, 3, 4, 27, 31))
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) & ~(allowed if kind != "CapBnd" else 0) == 0, kind
    assert status["NoNewPrivs"] == "1"
    mapped = {line.split()[-1] for line in (porter / "maps").read_text().splitlines() if "/" in line}
    theirs = [path for path in mapped if "evil" in path or "nss" in path or "dist-packages" in path]
    assert theirs == []
    for kind in ("mnt", "net", "ipc", "uts"):
        assert os.readlink(porter / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}"), kind
    mounts = (porter / "mountinfo").read_text()
    assert " / / " in mounts or " / rw" in mounts
    assert not [line for line in mounts.splitlines() if line.split(" - ")[1].startswith(("proc ", "sysfs "))]


# CVE-2026-41567: what unpacks is never a program of the image


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("form", PACKERS)
def test_sec_cve_2026_41567(engine: Sampan, form: str) -> None:
    packed = PACKERS[form](tar("unpacked", b"content"))
    image = load(engine, "trapped-programs", _hostile_image)
    made = engine.docker("run", "-d", "--net", "none", image, "sleep", "1000").text
    assert engine.api("PUT", f"/containers/{made}/archive?path=/tmp", packed).status == 200
    assert engine.docker("exec", made, "cat", "/tmp/unpacked").text == "content"
    assert engine.api("HEAD", f"/containers/{made}/archive?path=/pwned").status == 404
    assert engine.docker("rm", "-f", made).code == 0


# CVE-2021-41089: modes and owners of what lies behind a link


@pytest.mark.parametrize("path", ["/link", "/d"])
@pytest.mark.parametrize("start", [True, False], ids=["running", "at-rest"])
def test_sec_cve_2021_41089(engine: Sampan, canary: Canary, path: str, start: bool) -> None:
    """The canary fixture compares modes, owners and times."""

    def build(layer: Layer) -> None:
        layer.symlink("link", f"{canary.path}/directory")
        layer.directory("d")
        layer.symlink("d/directory", f"../../../..{canary.path}/directory")

    image = load(engine, "sec-modes", build)
    made = engine.docker("create", "--net", "none", image, "sleep", "1000").text
    if start:
        assert engine.docker("start", made).code == 0
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in (".", "directory", "directory/file", "file"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name in (".", "directory") else tarfile.REGTYPE
            info.mode, info.uid, info.mtime = 0o777, 12345, 1
            archive.addfile(info)
    engine.api("PUT", f"/containers/{made}/archive?path={path}", buffer.getvalue())
    assert engine.docker("rm", "-f", made).code == 0


# CVE-2019-10152, CVE-2019-18466, CVE-2023-0778: what is exported while it changes


@pytest.mark.parametrize("how", ["export", "commit", "diff"])
def test_sec_cve_2023_0778(engine: Sampan, swapping: str, canary: Canary, how: str) -> None:
    for number in range(12):
        if how == "export":
            assert canary.secret.encode() not in engine.api("GET", f"/containers/{swapping}/export").body
        elif how == "diff":
            assert canary.secret.encode() not in engine.api("GET", f"/containers/{swapping}/changes").body
        elif number < 3:
            made = engine.api("POST", f"/commit?container={swapping}&repo=sec-swapped&pause=0", {})
            if made.status == 201:
                assert canary.secret.encode() not in engine.api("GET", "/images/sec-swapped/get").body


# CVE-2026-41568, CVE-2026-42306: a volume whose place is a link; an absolute link of the image leads inside


def test_sec_cve_2026_42306(engine: Sampan, canary: Canary, tmp_path: Path) -> None:
    def build(layer: Layer) -> None:
        layer.directory("run")
        layer.file("run/inside", b"inside")
        layer.directory("var")
        layer.symlink("var/run", "/run")
        layer.symlink("var/out", canary.path)

    image = load(engine, "sec-view", build)
    (tmp_path / "mine").write_text("mine")
    made = engine.docker("create", "--net", "none", "-v", f"{tmp_path}:/var/run/volume", image, "sleep", "1000").text
    for start in (False, True):
        if start:
            assert engine.docker("start", made).code == 0
        for path, found in (("/var/run/inside", b"inside"), ("/var/run/volume/mine", b"mine")):
            assert found in engine.api("GET", f"/containers/{made}/archive?path={path}").body, (path, start)
        answer = engine.api("GET", f"/containers/{made}/archive?path=/var/out/secret")
        assert answer.status == 404, answer
        engine.api("PUT", f"/containers/{made}/archive?path=/var/out", tar("secret", b"evil"))
    assert engine.docker("rm", "-f", made).code == 0


# CVE-2026-17106: the command's own end of a copy, out of a container that lies


@pytest.mark.parametrize("case", cases(b"/var/tmp/sampan-none"), ids=lambda case: str(case.name))
def test_sec_cve_2026_17106_out_of_a_container(case: Case, canary: Canary, tmp_path: Path) -> None:
    """The archive is what a daemon that was taken over would send."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "beside").write_bytes(b"beside")
    (tmp_path / "mine" / "out").symlink_to(canary.path)
    try:
        unpack(iter([case.archive]), str(tmp_path / "mine"), "x", "")
    except Exit:
        pass
    assert sorted(os.listdir(tmp_path)) == ["beside", "mine"]
    assert (tmp_path / "beside").read_bytes() == b"beside"
    assert not Path("/var/tmp/sampan-none").exists()


def test_a_fifo_does_not_hold_the_porter(engine: Sampan) -> None:
    """Files of every kind that could make an open or a read wait for ever."""
    script = "mkdir /k && mkfifo /k/fifo && mknod /k/zero c 1 5 && ln -s /k/fifo /k/link && exec sleep 1000"
    made = engine.docker("run", "-d", "--name", "waits-for-ever", "--net", "none", "busybox", "sh", "-c", script)
    assert made.code == 0, made
    for _ in range(200):
        if engine.api("HEAD", "/containers/waits-for-ever/archive?path=/k/link").status == 200:
            break
    answer = engine.api("GET", "/containers/waits-for-ever/archive?path=/k")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        assert {member.name for member in archive} == {"k", "k/fifo", "k/zero", "k/link"}
    # What is copied over such a file takes its place, and is not written into it.
    assert engine.api("PUT", "/containers/waits-for-ever/archive?path=/k", tar("fifo", b"x")).status == 200
