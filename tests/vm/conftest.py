"""The engine as a person installs it on a machine with systemd: the packaged units, the command, the default places."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import busybox_archive

UNITS = Path(__file__).parents[2] / "packaging/systemd"
PROGRAMS = Path(sys.executable).parent


def shell(*words: str, stdin: bytes = b"", expect: int | None = 0, timeout: float = 240) -> str:
    """Run a command, insist on its exit code, and return both its outputs. The emulated machine is slow: so is the time-out."""
    done = subprocess.run(
        words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False
    )
    text = done.stdout.decode(errors="replace")
    assert expect in (None, done.returncode), f"{' '.join(words)}: {done.returncode}\n{text}"
    return text.strip()


def sampan(*words: str, stdin: bytes = b"", expect: int | None = 0) -> str:
    """The `sampan` command at the default socket."""
    return shell(str(PROGRAMS / "sampan"), *words, stdin=stdin, expect=expect)


GROUPS = Path("/sys/fs/cgroup")
V2 = (GROUPS / "cgroup.controllers").exists()


def group_of(container: str) -> Path:
    """The container's own group below each tree's mount point: with v2 alone it is a scope of systemd's."""
    name = sampan("inspect", "--format", "{{.Id}}", container)
    return Path(f"system.slice/docker-{name}.scope") if V2 else Path("docker") / name


@pytest.fixture(scope="session")
def service() -> Iterator[None]:
    """sampan.service under systemd, installed as packaging/systemd/README.md says, with busybox loaded."""
    shutil.copy(UNITS / "sampan.sysusers.conf", "/usr/lib/sysusers.d/sampan.conf")
    for unit in ("sampan.service", "sampan.socket"):
        shutil.copy(UNITS / unit, "/etc/systemd/system/")
    # Emulated on a busy machine, a start may take longer than a person would wait.
    patience = Path("/etc/systemd/system/sampan.service.d/patience.conf")
    patience.parent.mkdir()
    patience.write_text("[Service]\nTimeoutStartSec=infinity\n")
    Path("/usr/local/bin/sampand").symlink_to(PROGRAMS / "sampand")
    shell("systemd-sysusers", "sampan.conf")
    shell("systemctl", "daemon-reload")
    try:
        shell("systemctl", "start", "sampan.socket", "sampan.service")
        sampan("load", stdin=busybox_archive())
    except AssertionError as error:
        raise AssertionError(f"{error}\n{shell('journalctl', '--no-pager', '-u', 'sampan.service')}") from None
    yield
    shell("systemctl", "stop", "sampan.service", "sampan.socket")
