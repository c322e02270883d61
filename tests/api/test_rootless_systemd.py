"""`sampan rootless setup --systemd` under a user's own systemd: the unit it writes starts, delegates and ends the engine.

systemd runs as the user's manager on this machine's v2 tree, in a mount namespace that looks as after a boot by systemd.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import entry_point
from tests.ordinary import Lodging, Person, delegated, ordinary_user
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires(
    "root", "userns", "overlay", "nftables", "bridge", "veth", "busybox", "newuidmap", "useradd", "setpriv", "open-tree",
    "systemd-analyze",
)  # fmt: skip
_BOOTED = (
    "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; "
    "mount -t tmpfs none /run/systemd; mkdir /run/systemd/system; "
)


@contextmanager
def manager(person: Person) -> Iterator[None]:
    """`systemd --user`, as logind starts it; what it runs ends with it."""
    environment = {"SYSTEMD_LOG_TARGET": "console", "SYSTEMD_UNIT_PATH": f"{person.home}/.config/systemd/user:"}
    words = person.command("/usr/lib/systemd/systemd", "--user", env=environment)
    at = next(number for number, word in enumerate(words) if word.endswith('exec "$@"'))
    words[at] = words[at].replace("cd /; ", _BOOTED + "cd /; ")
    with (person.directory / "manager.log").open("wb") as log:
        running = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        answers = ("systemctl", "--user", "is-active", "basic.target")
        eventually(lambda: person.execute(*answers).text == "active", "the user's systemd does not answer", seconds=60)
        yield
    finally:
        running.terminate()
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@pytest.fixture
def person() -> Iterator[Person]:
    """A user whose PATH has the command in a directory with characters that mean something in a unit."""
    with ordinary_user() as made, delegated(made):
        (made.directory / "said").touch()
        (made.directory / "said").chmod(0o666)
        directory = made.home / "my %h bin"
        directory.mkdir()
        command = directory / "sampan"
        source = os.environ.get("SOURCE_UNDER_TEST", str(Path(__file__).parents[2] / "src"))
        command.write_text(
            f'#!/bin/sh\nPYTHONPATH={source} exec {shlex.join(entry_point("sampan"))} "$@" 2>>{made.directory}/said\n'
        )
        command.chmod(0o755)
        yield made


def test_the_unit_runs_the_engine(person: Person) -> None:
    path = f"{person.home}/my %h bin:/usr/bin:/bin:/usr/sbin:/sbin"
    engine = Lodging(person)
    with manager(person):
        done = person.sampan("rootless", "setup", "--quiet", "--systemd", "--network", "none", env={"PATH": path})
        unit = person.home / ".config/systemd/user/sampan.service"
        assert done.code == 0, (done, unit.read_text(), (person.directory / "said").read_text())
        verified = person.execute("systemd-analyze", "--user", "verify", str(unit), timeout=120)
        ours = [line for line in verified.err.decode().splitlines() if "sampan" in line]
        assert (verified.code, ours) == (0, []), verified
        assert person.execute("systemctl", "--user", "is-enabled", "sampan.service").text == "enabled"
        engine.load_busybox()
        identifier = engine.ok("run", "-d", "--name", "held", "--net", "none", "busybox", "sleep", "600")
        where = Path(f"/proc/{engine.daemon_pid()}/cgroup").read_text()
        assert "/sampan.service" in where
        group = next(line.partition("::")[2] for line in where.splitlines() if line.startswith("0::"))
        unit_group = group.partition("/sampan.service")[0] + "/sampan.service"
        assert engine.ok("info", "--format", "{{.CgroupDriver}}") != "none"
        inside = Path(f"/proc/{engine.ok('inspect', '--format', '{{.State.Pid}}', 'held')}/cgroup").read_text()
        assert f"0::{unit_group}/docker/{identifier}\n" in inside
        engine.ok("pause", "held")
        engine.ok("unpause", "held")
        assert person.execute("systemctl", "--user", "stop", "sampan.service", timeout=120).code == 0
        eventually(lambda: not [one for one in person.processes() if "sampand" in one or "sleep" in one])
        assert person.execute("systemctl", "--user", "is-failed", "sampan.service").text == "inactive"
        assert person.execute("systemctl", "--user", "start", "sampan.service", timeout=120).code == 0
        engine.ok("start", "held")
        engine.ok("rm", "-f", "held")
        assert person.execute("systemctl", "--user", "stop", "sampan.service", timeout=120).code == 0
