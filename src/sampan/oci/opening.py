"""What a container gets from the host, opened by the caller in the host's own mount namespace: root, binds, namespaces, pipes."""

import os
import stat
from dataclasses import dataclass

from sampan.errors import System
from sampan.kernel.mount import AT_FDCWD, MS, OpenTree, mount_setattr, open_tree
from sampan.oci import file_systems, users
from sampan.oci.containers import GATE, SAID, Container
from sampan.oci.last_steps import PROPAGATION
from sampan.oci.translate import Arrangement
from sampan.runtime import plan, sources
from sampan.runtime.start_failure import StartFailed
from sampan.runtime.steps import StepFailed
from sampan.runtime.users import map_mount
from sampan.spec import oci_runtime as oci


@dataclass(frozen=True, slots=True)
class Opened:
    """All as descriptors. `preserved` are the caller's own, which it keeps."""

    tree: int
    binds: list[int]
    joins: list[int]
    gate: int
    said: int
    preserved: list[int]

    def close(self) -> None:
        """Close all that is ours."""
        sources.close_all([self.tree, *self.binds, *self.joins, self.gate, self.said])


def open_all(container: Container, wanted: Arrangement, kept: list[int]) -> Opened:
    """Raises System where the host does not have what the bundle names."""
    descriptors: list[int] = []
    try:
        descriptors.append(_root(wanted))
        binds = []
        for number, mount in enumerate(mount for mount in wanted.config.mounts if mount.type == "bind"):
            opened = _bind(wanted, number, mount)
            binds.append(opened)
            descriptors.append(opened)
        joins = sources.open_namespaces([path for path, _ in plan.joined(wanted.config)])
        descriptors += joins
        gate = _pipe(container, GATE)
        descriptors.append(gate)
        return Opened(descriptors[0], binds, joins, gate, _pipe(container, SAID), kept)
    except (StartFailed, StepFailed) as error:
        sources.close_all(descriptors)
        raise System(error.message) from error
    except OSError as error:
        sources.close_all(descriptors)
        raise System(f"error preparing rootfs {wanted.rootfs}: {os.strerror(error.errno or 0).lower()}") from error


def _pipe(container: Container, name: str) -> int:
    """Both ends of it: it is waited at until a byte comes, and no reader is told of an end before."""
    path = container.directory / name
    os.mkfifo(path, 0o600)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    assert stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    return descriptor


def _root(wanted: Arrangement) -> int:
    tree = open_tree(AT_FDCWD, os.fsencode(wanted.rootfs), OpenTree.CLONE | OpenTree.RECURSIVE)
    word = wanted.propagation.removeprefix("r") or "private"
    if word == "shared":
        # After the pivot (`last_steps.propagate`).
        mount_setattr(tree, propagation=MS.PRIVATE, recursive=True)
        return tree
    recursive = wanted.propagation.startswith("r") or word == "private"
    mount_setattr(tree, propagation=PROPAGATION[word], recursive=recursive)
    return tree


def _bind(wanted: Arrangement, number: int, mount: oci.Mount) -> int:
    if mount.destination in wanted.filled:
        return file_systems.filled(wanted, mount.destination)
    if number in wanted.made:
        return file_systems.made(mount, wanted.made[number])
    (tree,) = sources.open_binds([mount], sources.Roots())
    if number in wanted.mapped:
        asked = wanted.mapped[number]
        try:
            namespace = users.of_mount(asked.uids, asked.gids)
            try:
                map_mount(tree, namespace, asked.recursive)
            finally:
                os.close(namespace)
        except BaseException:
            os.close(tree)
            raise
    return tree
