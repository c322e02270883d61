"""What a container sees of /proc, /sys and /dev, as data: mounts, masked and read-only paths.

The lists are Docker's, with a few more masked paths that hold physical addresses; the variants are those of `--privileged`
and `writable-cgroups`. What a client reads back from inspect is Docker's list only.
"""

import os
import re

import msgspec

from sampan.spec import oci_runtime as oci


def _mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> oci.Mount:
    return oci.Mount(destination=destination, type=kind, source=source, options=options)


MOUNTS = (
    _mount("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    _mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    _mount("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    _mount("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", "nosuid", "noexec", "nodev")),
    _mount("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
)
"""Every container's own file systems, in the order in which they are mounted. /dev/shm depends on the request."""

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Paths of which a container sees nothing: those that inspect shows. `thermal_throttle_paths` are added to them."""

ALSO_MASKED = ("/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/vmallocinfo")
"""Hidden with the default list, and only with it: physical pages, kernel memory and addresses, which Docker leaves readable."""

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Paths that a container may read and not write."""

SHM_SIZE = 64 << 20
"""Bytes of /dev/shm where the request says nothing."""

_CPU_DIRECTORY = re.compile(r"cpu[0-9]+")
_CPUS = "/sys/devices/system/cpu"


def mounts(
    *, shm_size: int = SHM_SIZE, privileged: bool = False, writable_cgroups: bool | None = None
) -> tuple[oci.Mount, ...]:
    """The container's own file systems. `shm_size` in bytes; 0 leaves /dev/shm to the caller (another container's, the host's).

    /sys is writable in a privileged container, the control groups in one that is privileged or asked for it. A read-only
    root (`--read-only`) changes none of them: /proc and /dev stay as they are, the others are read-only already.
    """
    writable = {"/sys": privileged, "/sys/fs/cgroup": privileged if writable_cgroups is None else writable_cgroups}
    found = list(MOUNTS)
    if shm_size:
        found.append(_mount("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}")))
    return tuple(_writable(mount) if writable.get(mount.destination) else mount for mount in found)


def _writable(mount: oci.Mount) -> oci.Mount:
    return msgspec.structs.replace(mount, options=tuple(option for option in mount.options if option != "ro"))


def masked_paths(asked: tuple[str, ...] | None, privileged: bool, thermal: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What the runtime hides. `asked` is the request's list, None for the default; a privileged one hides nothing.

    A container's record has the list that inspect shows, so that whoever hides all of Docker's hides ours with it.
    """
    if asked is not None:
        return (*asked, *ALSO_MASKED) if set(MASKED) <= set(asked) else asked
    return () if privileged else (*MASKED, *thermal, *ALSO_MASKED)


def shown_masked_paths(
    asked: tuple[str, ...] | None, privileged: bool, thermal: tuple[str, ...] = ()
) -> tuple[str, ...] | None:
    """What inspect shows as HostConfig.MaskedPaths: Docker's list; None (JSON null) where a privileged one asked nothing."""
    if asked is not None or privileged:
        return asked
    return (*MASKED, *thermal)


def read_only_paths(asked: tuple[str, ...] | None, privileged: bool) -> tuple[str, ...]:
    """The same for read-only paths."""
    if asked is not None:
        return asked
    return () if privileged else READ_ONLY


def shown_read_only_paths(asked: tuple[str, ...] | None, privileged: bool) -> tuple[str, ...] | None:
    """The same for HostConfig.ReadonlyPaths."""
    return asked if asked is not None or privileged else READ_ONLY


def thermal_throttle_paths() -> tuple[str, ...]:
    """The counters of each processor that tell of its neighbours' load (GHSA-6fw5-f8r9-fgfm); read once by the daemon."""
    found = []
    with os.scandir(_CPUS) as entries:
        for entry in entries:
            path = f"{_CPUS}/{entry.name}/thermal_throttle"
            if _CPU_DIRECTORY.fullmatch(entry.name) and os.path.exists(path):
                found.append((int(entry.name[3:]), path))
    return tuple(path for _number, path in sorted(found))
