"""File systems that the caller makes for a bundle, as detached mounts: of kinds that init makes none of, and filled ones."""

import os
import re

from sampan.errors import System
from sampan.files.copying import copy_tree
from sampan.files.root import SafeRoot
from sampan.kernel.mount import fsconfig_create, fsconfig_flag, fsconfig_string, fsmount, fsopen
from sampan.oci.mounts import COPY_UP, OPTIONS, MadeMount
from sampan.oci.translate import Arrangement
from sampan.runtime.world import attributes, instance
from sampan.spec import oci_runtime as oci

_BETWEEN_LAYERS = re.compile(r"(?<!\\):")


def made(mount: oci.Mount, asked: MadeMount) -> int:
    """A new instance, by the host's rights and in the host's mount namespace, where its source is. Raises System."""
    words = list(mount.options)
    try:
        context = fsopen(asked.kind.encode())
        try:
            fsconfig_string(context, b"source", os.fsencode(asked.source or asked.kind))
            for word in words:
                if word not in OPTIONS:
                    _tell(context, word)
            fsconfig_create(context)
            return fsmount(context, attributes(words))
        finally:
            os.close(context)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise System(f"error mounting {asked.kind} to rootfs at {mount.destination}: {reason}") from error


def _tell(context: int, word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals:
        fsconfig_flag(context, key.encode())
    elif key == "lowerdir":
        # One by one (Linux 6.5): a value has 255 bytes at most.
        for layer in _BETWEEN_LAYERS.split(value):
            fsconfig_string(context, b"lowerdir+", os.fsencode(layer.replace("\\:", ":")))
    else:
        fsconfig_string(context, key.encode(), os.fsencode(value))


def filled(wanted: Arrangement, destination: str) -> int:
    """A file system in memory with a copy of what the root has at `destination`; links there lead inside the root only."""
    words = [option for option in wanted.filled[destination] if option != COPY_UP]
    names = {word.partition("=")[0] for word in words}
    maps = wanted.config.linux.users
    uid, gid = maps.root if maps is not None else (0, 0)
    words += [word for word in ("mode=755", f"uid={uid}", f"gid={gid}") if word.partition("=")[0] not in names]
    made = instance(b"tmpfs", words)
    try:
        with SafeRoot(wanted.rootfs) as root:
            source = root.open(destination, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The mount's own descriptor is a path only.
            target = os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                copy_tree(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)
    except (FileNotFoundError, NotADirectoryError):
        # Nothing there to be copied.
        return made
    except BaseException:
        os.close(made)
        raise
    return made
