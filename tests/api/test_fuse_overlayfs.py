"""The driver fuse-overlayfs under a whole daemon: taken where the kernel's overlay is refused, and its programs are shut in."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sampan.kernel.caps import Cap
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox", "fuse", "fuse-overlayfs")
_RIGHTS = (Cap.CHOWN, Cap.DAC_OVERRIDE, Cap.DAC_READ_SEARCH, Cap.FOWNER, Cap.FSETID, Cap.MKNOD, Cap.SETFCAP)


@contextmanager
def on_an_overlay() -> Iterator[Sampan]:
    """A daemon that is told no driver, with its data root on an overlay, as in a container of another engine."""
    daemon = Sampan()
    for name in ("lower", "upper", "work", "data"):
        (daemon.directory / name).mkdir()
    at = daemon.directory
    options = f"lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, daemon.data_root], check=True)
    try:
        daemon.start()
        try:
            daemon.load_busybox()
            yield daemon
            daemon.remove_containers()
        finally:
            if daemon.process is not None:
                daemon.stop()
    finally:
        subprocess.run(["umount", daemon.data_root], check=True)
        daemon.remove()


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with on_an_overlay() as daemon:
        yield daemon


def servers(engine: Sampan) -> list[int]:
    """The programs that serve this daemon's containers: of all others none has this data root in its mounts."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if (entry / "comm").read_text() != "fuse-overlayfs\n":
                continue
            # Layers are bound by the path that they have on the data root's file system.
            if f"/{engine.directory.name}/" in (entry / "mountinfo").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_it_is_taken_where_the_kernel_refuses(engine: Sampan) -> None:
    assert engine.docker("info", "-f", "{{.Driver}}").text == "fuse-overlayfs"
    assert "layers are merged by fuse-overlayfs" in engine.log_tail()


def test_it_stays_where_its_layers_are(engine: Sampan) -> None:
    """Where the kernel could merge, too: what another driver opens has no layers. A driver that is named is taken."""
    elsewhere = Sampan()
    try:
        elsewhere.start("--storage-driver", "fuse-overlayfs")
        elsewhere.load_busybox()
        elsewhere.stop()
        elsewhere.start()
        assert elsewhere.docker("info", "-f", "{{.Driver}}").text == "fuse-overlayfs"
        assert elsewhere.docker("run", "--rm", "--net", "none", "busybox", "echo", "here").text == "here"
        elsewhere.stop()
        elsewhere.start("--storage-driver", "overlay2")
        assert elsewhere.docker("info", "-f", "{{.Driver}}").text == "overlay2"
    finally:
        elsewhere.stop()
        elsewhere.remove()


def test_run_diff_commit_and_copy(engine: Sampan) -> None:
    script = "rm -r /etc; mkdir /etc /new; echo one > /etc/one; mv /root /moved; chmod 700 /bin; exec sleep 600"
    assert engine.docker("run", "-d", "--name", "first", "--net", "none", "busybox", "sh", "-c", script).code == 0
    eventually(lambda: "C /bin" in engine.docker("diff", "first").text.splitlines())
    changes = set(engine.docker("diff", "first").text.splitlines())
    assert {"C /etc", "A /etc/one", "D /etc/passwd", "D /root", "A /moved", "A /new", "C /bin"} <= changes
    assert engine.docker("exec", "first", "cat", "/etc/one").text == "one"
    copied = engine.docker("cp", "-", "first:/new", stdin=engine.docker("cp", "first:/etc/one", "-").out)
    assert copied.code == 0, copied
    assert engine.docker("commit", "first", "second").code == 0
    seen = engine.docker(
        "run", "--rm", "--net", "none", "second", "sh", "-c", "cat /new/one; ls -A /etc; ls -d /root /moved"
    )
    assert "one" in seen.text
    assert "/moved" in seen.text
    assert "/root\n" not in seen.text
    assert engine.docker("rm", "-f", "first").code == 0
    assert engine.docker("image", "rm", "second").code == 0


def test_a_build(engine: Sampan) -> None:
    text = (
        b"FROM busybox\nRUN rm -r /root && mkdir /made && echo made > /made/file\nRUN mv /made /moved && rm /bin/wc\n"
    )
    built = engine.docker("build", "-t", "built", "-", stdin=text, timeout=120)
    assert built.code == 0, built
    seen = engine.docker("run", "--rm", "--net", "none", "built", "sh", "-c", "cat /moved/file; ls /made /root /bin/wc")
    assert seen.out == b"made\n"
    assert engine.docker("image", "rm", "built").code == 0


def test_what_serves_a_container_is_shut_in_and_ends_with_it(engine: Sampan) -> None:
    """Few rights, a root of layers and libraries, no network and nobody else's processes; the daemon's death changes nothing."""
    eventually(lambda: not servers(engine))
    assert engine.docker("run", "-d", "--name", "kept", "--net", "none", "busybox", "sleep", "600").code == 0
    (pid,) = servers(engine)
    status = Path(f"/proc/{pid}/status").read_text()
    rights = f"{sum(1 << right for right in _RIGHTS):016x}"
    for line in (f"CapPrm:\t{rights}", f"CapEff:\t{rights}", f"CapBnd:\t{rights}", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status, line
    assert {"layers", "top", "proc"} <= set(os.listdir(f"/proc/{pid}/root"))
    assert not {"home", "root", "var", "tmp", "run", "dev", "sys"} & set(os.listdir(f"/proc/{pid}/root"))
    assert os.listdir(f"/proc/{pid}/root/etc") in ([], ["ld.so.cache"])
    for kind in ("pid", "net", "ipc", "uts", "mnt"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    engine.kill()
    engine.start()
    assert engine.docker("exec", "kept", "sh", "-c", "echo on > /on; cat /on").text == "on"
    assert servers(engine) == [pid]
    assert engine.docker("restart", "-t", "0", "kept").code == 0
    assert engine.docker("exec", "kept", "cat", "/on").text == "on"
    assert engine.docker("rm", "-f", "kept").code == 0
    eventually(lambda: not servers(engine))


def test_what_stands_on_the_kernel_is_refused_by_name(engine: Sampan) -> None:
    refused = engine.docker("run", "--rm", "host", "true")
    assert refused.code == 125
    assert b"not available with the storage driver fuse-overlayfs" in refused.err


def test_a_server_that_is_killed_is_an_error_of_its_container_alone(engine: Sampan) -> None:
    assert engine.docker("run", "-d", "--name", "broken", "--net", "none", "busybox", "sleep", "600").code == 0
    (pid,) = servers(engine)
    assert engine.docker("run", "-d", "--name", "whole", "--net", "none", "busybox", "sleep", "600").code == 0
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: engine.docker("exec", "broken", "ls", "/").code != 0)
    assert engine.docker("exec", "whole", "ls", "/").code == 0
    assert engine.docker("rm", "-f", "broken", "whole").code == 0
