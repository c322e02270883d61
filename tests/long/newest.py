"""Docker as Debian's newest release has it (28 or later), from a root file system of its own: the peer of what 20.10 cannot do.

The root is made once, with mmdebstrap, below `.build`, and only read; the daemon's directories lie in this machine's /tmp.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemons import PROJECT, Docker
from tests.long.sid import SOURCE

_PLACE = PROJECT / ".build" / "newest-docker"
_PACKAGES = "docker.io,iptables,iproute2,ca-certificates,procps"
_ENTER = """
mount --make-rprivate /
mount --bind "$0" "$0"
ip link set lo up
for place in proc sys dev tmp; do mount --rbind /$place "$0/$place"; done
mount -t tmpfs -o mode=755 tmpfs "$0/run"
cd "$0"
pivot_root . mnt
exec "$@"
"""


def root() -> Path:
    """Where it is; made where it is not there yet, which takes two minutes."""
    made = _PLACE / "root"
    if not made.exists():
        _PLACE.mkdir(parents=True, exist_ok=True)
        # A mirror may be older than the suite's own date.
        stale = "--aptopt=Acquire::Check-Valid-Until false"
        partial = _PLACE / "root.new"
        command = ["mmdebstrap", "--variant=minbase", "--format=directory", stale, f"--include={_PACKAGES}", "sid"]
        subprocess.run([*command, str(partial), SOURCE], check=True, capture_output=True, timeout=900)
        partial.rename(made)
    return made


class NewestDocker(Docker):
    """That daemon, in mount and network namespaces of its own."""

    def command(self) -> list[str]:
        at = next(index for index, word in enumerate(super().command()) if word == "dockerd")
        return ["unshare", "--net", "--mount", "sh", "-c", _ENTER, str(root()), *super().command()[at:]]


@contextmanager
def running_newest_docker() -> Iterator[NewestDocker]:
    """A started one without images, removed on leaving."""
    docker = NewestDocker()
    try:
        docker.start()
        yield docker
    finally:
        docker.remove()
