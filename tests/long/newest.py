"""Docker as Debian's newest release has it (28 or later), from a root file system of its own: the peer of what 20.10 cannot do.

The root is made once, with mmdebstrap, below `.build`, and only read; the daemon's directories lie in this machine's /tmp.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemons import PROJECT, Docker

_PLACE = PROJECT / ".build" / "newest-docker"
_SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main"
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
        subprocess.run([*command, str(partial), _SOURCE], check=True, capture_output=True, timeout=900)
        partial.rename(made)
    return made


def buildx() -> Path:
    """The plugin of that release for the `docker` command: its client of BuildKit."""
    made = _PLACE / "buildx"
    if not made.exists():
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "sources.list").write_text(_SOURCE + "\n")
            (Path(place) / "lists/partial").mkdir(parents=True)
            own = {"Dir::Etc::sourcelist": f"{place}/sources.list", "Dir::Etc::sourceparts": "/dev/null"}
            own |= {"Dir::State::lists": f"{place}/lists", "Dir::Cache": place, "Acquire::Check-Valid-Until": "false"}
            options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
            for command in ("update", "download docker-buildx"):
                line = ["apt-get", *options, "--quiet", *command.split()]
                subprocess.run(line, cwd=place, check=True, capture_output=True, timeout=300)
            (package,) = Path(place).glob("docker-buildx_*.deb")
            _PLACE.mkdir(parents=True, exist_ok=True)
            partial = _PLACE / "buildx.new"
            subprocess.run(["dpkg", "-x", package, partial], check=True)
            partial.rename(made)
    return made / "usr/libexec/docker/cli-plugins/docker-buildx"


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
