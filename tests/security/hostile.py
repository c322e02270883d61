"""What the security corpus needs: a canary on the host, and hostile images."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import EMULATED, Daemon, Outcome

REFUSED = (125, 126, 127)
"""Exit codes of `docker run` when the program never ran."""


@dataclass(frozen=True)
class Canary:
    """A directory of root's on the host that nothing in a container may read, write or list."""

    place: Path
    secret: str

    @property
    def path(self) -> str:
        return str(self.place)

    def state(self) -> dict[str, tuple[object, ...]]:
        """Everything that a touch would change."""
        found: dict[str, tuple[object, ...]] = {}
        for path in (self.place, *sorted(self.place.rglob("*"))):
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
            owner = (status.st_uid, status.st_gid, oct(status.st_mode), status.st_nlink)
            found[str(path.relative_to(self.place))] = (
                status.st_ino,
                *owner,
                status.st_mtime_ns,
                status.st_ctime_ns,
                content,
            )
        return found


def host_state() -> dict[str, object]:
    """What an escape would change on the host beside the canary; mounts of other engines come and go, and are left out."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "core_pattern": Path("/proc/sys/kernel/core_pattern").read_text(),
        "hostname": Path("/proc/sys/kernel/hostname").read_text(),
        "null": (os.stat("/dev/null").st_rdev, oct(os.stat("/dev/null").st_mode)),
        # What others mount and plug in meanwhile is a loop device, or a tap of macvtap.
        "dev": sorted(name for name in os.listdir("/dev") if not name.startswith(("loop", "tap"))),
        "mounts": sorted(
            point for point in points if point.startswith(("/proc", "/sys", "/dev", "/etc", "/var/tmp", "/home"))
        ),
    }


Build = Callable[[Layer], None]


def load(engine: Daemon, tag: str, build: Build | None = None, config: Mapping[str, object] | None = None) -> str:
    """Load an image of busybox with one more layer on top; returns its tag."""
    layers = [busybox_rootfs()]
    if build is not None:
        layer = Layer()
        build(layer)
        layers.append(layer.tar())
    whole = {"Cmd": ["sh"], "Env": [PATH], **(config or {})}
    outcome = engine.docker("load", stdin=docker_archive(f"{tag}:latest", layers, whole))
    assert outcome.code == 0, outcome
    return tag


def run(engine: Daemon, *arguments: str, timeout: float = 240 if EMULATED else 20) -> Outcome:
    """`docker run --rm --network none`."""
    return engine.docker("run", "--rm", "--network", "none", *arguments, timeout=timeout)


def refused(outcome: Outcome) -> bool:
    """Whether the engine refused to start, with an error in words, and not because there is no such image.

    Those of `docker exec` are in the stream, on its standard output.
    """
    words = outcome.out + outcome.err
    missing = b"Unable to find image" in words or b"No such image" in words
    return outcome.code in REFUSED and bool(words.strip()) and not missing


def refused_or(outcome: Outcome, contained: Callable[[Outcome], bool]) -> bool:
    """Either the engine `refused` to start, or what ran was `contained`."""
    return refused(outcome) or (outcome.code not in REFUSED and contained(outcome))
