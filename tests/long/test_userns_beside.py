"""`userns-remap` beside Docker's newest release: what info and inspect say, what is refused, who a program is, whose its files are.

Both daemons have an /etc of their own, where `default` makes its user.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Daemon, Sampan, running_sampan
from tests.long.newest import NewestDocker
from tests.requires import requires
from tests.user_namespaces import create, ids, inspected, output, pid, read, started

pytestmark = requires("root", "overlay", "userns", "idmap", "netns", "mmdebstrap", "docker-client", "busybox")

_OWN_ETC = 'cp -a /etc/. "$0" && mount --bind "$0" /etc && exec "$@"'
_WITHIN = (
    *("unshare", "--mount", "--propagation", "slave"),
    *("sh", "-c", f"mount -t tmpfs tmpfs /mnt && {_OWN_ETC}", "/mnt"),
)
_WITH_REMAP = ("--userns-remap", "default")


class RemappingDocker(NewestDocker):
    """Docker's newest release with an /etc of its own."""

    def command(self) -> list[str]:
        words = super().command()
        at = words.index("dockerd")
        return [*words[:at], "sh", "-c", f"mkdir /run/etc && {_OWN_ETC}", "/run/etc", *words[at:]]


@contextmanager
def running(daemon: Daemon, *flags: str) -> Iterator[Daemon]:
    # Docker's mapped root walks there.
    daemon.directory.chmod(0o711)
    try:
        daemon.start(*flags)
        daemon.load_busybox()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Daemon, Daemon]]:
    with running_sampan(*_WITH_REMAP, within=_WITHIN) as sampan, running(RemappingDocker(), *_WITH_REMAP) as docker:
        sampan.load_busybox()
        yield sampan, docker


def both(engines: tuple[Daemon, Daemon], mode: str = "", *command: str, **host: Any) -> list[tuple[int, str]]:
    """The answers to one create."""
    answers = [create(engine, mode, *(command or ("true",)), **host) for engine in engines]
    return [(answer.status, str(read(answer).get("message", ""))) for answer in answers]


def test_info(engines: tuple[Daemon, Daemon]) -> None:
    ours, theirs = (read(engine.api("GET", "/info"))["SecurityOptions"] for engine in engines)
    assert "name=userns" in ours
    assert "name=userns" in theirs


def test_who_a_program_is(engines: tuple[Daemon, Daemon]) -> None:
    """The same range where both made their user in the same /etc; one line, from 0 up."""
    maps = [output(engine, "", "cat", "/proc/self/uid_map").split() for engine in engines]
    assert [(words[0], words[2], len(words)) for words in maps] == [("0", "65536", 3)] * 2
    for engine in engines:
        container = started(engine, "", "sleep", "1000")
        first = int(output(engine, "", "cat", "/proc/self/uid_map").split()[1])
        assert ids(pid(engine, container)) == ({first}, {first})
        assert inspected(engine, container)["HostConfig"]["UsernsMode"] == ""


@pytest.mark.parametrize(
    ("mode", "host"),
    [
        ("", {"Privileged": True}),
        ("", {"NetworkMode": "host"}),
        ("", {"PidMode": "host"}),
        ("host", {"Privileged": True, "NetworkMode": "host", "PidMode": "host"}),
        ("", {"IpcMode": "host"}),
        ("", {"UTSMode": "host"}),
    ],
)
def test_creates(engines: tuple[Daemon, Daemon], mode: str, host: dict[str, Any]) -> None:
    ours, theirs = both(engines, mode, **host)
    assert ours == theirs


_PROGRAM = """
stat -c '%n %u:%g %a' /etc/hosts /dev /dev/shm /proc/self /tmp /bin/busybox
touch /made && stat -c %u /made
id
cat /proc/self/setgroups
cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start
grep -E '^(Cap|Uid|Gid|NoNewPrivs)' /proc/self/status
mknod /tmp/n c 1 3
chroot / true && echo chroot
echo 1 >/proc/sys/kernel/domainname
mount -t tmpfs none /tmp
"""


def test_what_a_program_sees(engines: tuple[Daemon, Daemon]) -> None:
    """But for device nodes, which Docker binds from the host's /dev: they are nobody's there, and root's here."""
    ours, theirs = (
        output(engine, "", "sh", "-c", f"{_PROGRAM} true", NetworkMode="bridge").splitlines() for engine in engines
    )
    assert ours == theirs


def test_a_bind_and_a_volume(engines: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o111)
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    script = "stat -c %u:%g /b/file /v; cat /b/file; touch /v/x && stat -c %u /v/x; touch /b/new; true"
    seen = [
        output(engine, "", "sh", "-c", script, Binds=[f"{tmp_path}:/b", "/v"][:1], Tmpfs={"/t": ""})
        for engine in engines
    ]
    assert seen[0] == seen[1]
    made = [output(engine, "", "sh", "-c", "touch /m/x; stat -c %u /m /m/x", Binds=["parts:/m"]) for engine in engines]
    assert made[0] == made[1] == "0\n0\n"


@pytest.mark.parametrize("setting", ["a:b:c", "nosuchuser", "daemon:nosuchgroup", "99999", "daemon:99999", "games"])
def test_settings_that_end_a_daemon(setting: str) -> None:
    words = []
    for daemon in (Sampan(_WITHIN), RemappingDocker()):
        try:
            command = [*daemon.command(), "--userns-remap", setting]
            done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        finally:
            daemon.remove()
        assert done.returncode != 0
        words.append(_reason(done.stderr.decode()))
    assert words[0] == words[1]


def _reason(said: str) -> str:
    """The last line's reason, without what names a place or repeats the system's own word."""
    last = said.strip().splitlines()[-1]
    for begin in ("Invalid user", "Error during", "Uid ", "Gid ", "no subuid"):
        if begin in last:
            words = last[last.index(begin) :].replace("\\", "")
            return words.split(": ")[0].split(" in /etc/sub")[0].strip('"')
    return last
