"""How a container's root file system is put together: data only, mounted elsewhere."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverlayRoot:
    """An overlay mount: `lowers` from the topmost layer down, `upper` written to, `work` on the file system of `upper`.

    All are absolute paths on the host. The snapshotter that made them owns them; the runtime only mounts.
    """

    lowers: tuple[str, ...]
    upper: str
    work: str


@dataclass(frozen=True, slots=True)
class ServedRoot(OverlayRoot):
    """The same, merged by a program instead of by the kernel: the runtime is given the mount."""

    program: str


@dataclass(frozen=True, slots=True)
class PlainRoot:
    """A directory that is the root itself (the vfs driver): bound, never shared between containers."""

    path: str


RootMount = OverlayRoot | PlainRoot

HOST_ROOT = "/.sampan-host-root"
"""Where the launcher's mount namespace has the machine's own root, read-only: the bottom of the image `host`."""
HOST_HIDDEN = "/.sampan-host-hidden"
"""Where it has the tmpfs whose directories hide parts of that root. A file system of its own, because overlay refuses a
lower directory that lies inside another one."""
