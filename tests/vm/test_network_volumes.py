"""Volumes on NFS and SMB servers that this machine runs: the kernel that the project is tested on has no such clients."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan
from tests.vm.conftest import shell
from tests.waiting import eventually

SECRET = "not-to-be-shown"
SETTINGS = """[global]
server role = standalone server
disable netbios = yes
smb ports = 445
interfaces = 127.0.0.1/8
bind interfaces only = yes
load printers = no
private dir = {place}
lock directory = {place}
state directory = {place}
cache directory = {place}
pid directory = {place}
ncalrpc dir = {place}/ncalrpc
log file = {place}/log
[share]
path = {share}
read only = no
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of what an NFS server of version 4 gives to this machine."""
    place = tmp_path_factory.mktemp("exported")
    place.chmod(0o755)
    shell("modprobe", "nfsd")
    shell("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd", expect=None)
    # Seconds in which a server that was started anew gives nobody a lock: as few as it takes.
    shell("rpc.nfsd", "-N", "3", "-G", "10", "-L", "10", "2")
    names = subprocess.Popen(["rpc.mountd", "-F", "-N", "3"])
    try:
        shell("exportfs", "-o", "rw,fsid=0,insecure,no_root_squash,no_subtree_check", f"*:{place}")
        yield place
        shell("exportfs", "-ua")
    finally:
        shell("rpc.nfsd", "0")
        names.terminate()
        names.wait(60)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a Samba server gives to root, who has `SECRET`."""
    place, share = tmp_path_factory.mktemp("samba"), tmp_path_factory.mktemp("shared")
    (place / "ncalrpc").mkdir()
    settings = place / "smb.conf"
    settings.write_text(SETTINGS.format(place=place, share=share))
    shell("smbpasswd", "-c", str(settings), "-s", "-a", "root", stdin=f"{SECRET}\n{SECRET}\n".encode())
    # At its end it ends its whole process group.
    server = subprocess.Popen(["smbd", "-F", "--no-process-group", "-s", settings], start_new_session=True)
    try:
        eventually(lambda: "LISTEN" in shell("ss", "-ltn", "sport = 445"), "Samba does not listen", 240)
        yield share
    finally:
        server.terminate()
        server.wait(60)


@contextmanager
def volume(engine: Sampan, name: str, kind: str, device: str, how: str) -> Iterator[None]:
    made = engine.sampan("volume", "create", "-o", f"type={kind}", "-o", f"device={device}", "-o", f"o={how}", name)
    assert made.code == 0, made
    try:
        yield
    finally:
        assert engine.sampan("volume", "rm", name).code == 0


def run(engine: Sampan, *words: str) -> Outcome:
    return engine.sampan("run", "--rm", "--net", "none", *words, timeout=240)


def mounts(kind: str) -> list[str]:
    """Where this machine shows such a mount."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [where for _, where, what, *_ in lines if what.startswith(kind)]


def written_by_one_and_read_by_another(engine: Sampan, name: str, kind: str, directory: Path) -> None:
    script = "echo kept > /v/f; mkdir /v/d; mv /v/f /v/d/g; cat /proc/mounts"
    done = run(engine, "-v", f"{name}:/v", "busybox", "sh", "-c", script)
    assert done.code == 0, done
    assert any(line.split()[1:3] == ["/v", kind] for line in done.text.splitlines()), done
    assert (directory / "d/g").read_text() == "kept\n"
    (directory / "d/h").write_text("by the server")
    assert run(engine, "-v", f"{name}:/v", "busybox", "cat", "/v/d/g", "/v/d/h").text == "kept\nby the server"
    assert run(engine, "-v", f"{name}:/v:ro", "busybox", "touch", "/v/no").code == 1
    assert mounts(kind) == []


def test_nfs(engine: Sampan, exported: Path) -> None:
    with volume(engine, "files", "nfs", ":/", "addr=127.0.0.1,vers=4.2"):
        written_by_one_and_read_by_another(engine, "files", "nfs4", exported)


def test_nfs_by_the_name_of_a_server(engine: Sampan, exported: Path) -> None:
    (exported / "below").mkdir()
    (exported / "below/f").write_text("found")
    with volume(engine, "named", "nfs", ":/below", "addr=localhost,nolock,vers=4,ro"):
        assert run(engine, "-v", "named:/v", "busybox", "cat", "/v/f").text == "found"
        assert run(engine, "-v", "named:/v", "busybox", "touch", "/v/no").code == 1


def test_nfs_outlives_the_daemon(engine: Sampan, exported: Path) -> None:
    """The mount is held by the container's monitor; the next daemon finds it there, and gives the same one to others."""
    with volume(engine, "lasting", "nfs", ":/", "addr=127.0.0.1,vers=4.2"):
        assert engine.sampan("run", "-d", "--name", "user", "-v", "lasting:/v", "busybox", "sleep", "1000").code == 0
        try:
            engine.kill()
            engine.start()
            script = "echo again > /v/again"
            assert engine.sampan("exec", "user", "sh", "-c", script, timeout=240).code == 0
            assert (exported / "again").read_text() == "again\n"
            assert run(engine, "-v", "lasting:/v", "busybox", "cat", "/v/again").text == "again"
        finally:
            assert engine.sampan("rm", "-f", "user", timeout=240).code == 0


def test_what_the_server_does_not_have_is_said(engine: Sampan, exported: Path) -> None:
    assert exported.is_dir()
    with volume(engine, "nothing", "nfs", ":/none-such", "addr=127.0.0.1,vers=4.2"):
        done = run(engine, "-v", "nothing:/v", "busybox", "true")
        # By the words, as Docker's command.
        assert done.code == 127, done
        assert "failed to mount local volume: mount :/none-such:" in done.err.decode()
        assert "no such file or directory" in done.err.decode()


def test_cifs(engine: Sampan, shared: Path) -> None:
    how = f"addr=127.0.0.1,username=root,password={SECRET},vers=3.0"
    with volume(engine, "share", "cifs", "//127.0.0.1/share", how):
        written_by_one_and_read_by_another(engine, "share", "cifs", shared)


def test_cifs_by_the_name_of_a_server(engine: Sampan, shared: Path) -> None:
    (shared / "f").write_text("found")
    with volume(engine, "called", "cifs", "//localhost/share", f"username=root,password={SECRET}"):
        assert run(engine, "-v", "called:/v", "busybox", "cat", "/v/f").text == "found"


def test_a_wrong_password_is_said_and_shown_to_nobody(engine: Sampan, shared: Path) -> None:
    assert shared.is_dir()
    with volume(engine, "closed", "cifs", "//127.0.0.1/share", f"addr=127.0.0.1,username=root,password=x{SECRET}"):
        done = run(engine, "-v", "closed:/v", "busybox", "true")
        assert done.code == 126, done
        assert b"permission denied" in done.err
        assert SECRET.encode() not in done.err + engine.log.read_bytes()
