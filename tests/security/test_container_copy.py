"""Security corpus, section D: files copied out of and into containers that work against it."""

import io
import os
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.deaths_of_copies import porters
from tests.archives import Layer
from tests.daemons import Sampan
from tests.requires import requires
from tests.security.hostile import Canary, load
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

ROUNDS = 60
SWAP = """
mkdir -p /d; cd /d
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
    """A container that swaps /d/t between a directory and a link to the canary as fast as it can."""
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
