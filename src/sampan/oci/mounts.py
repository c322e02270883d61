"""A bundle's mounts as the runtime's plan takes them. Pure."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.oci import documents
from sampan.oci.users import rows
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import Rows

_OWN = {"/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/mqueue": "mqueue"}
PROPAGATIONS = frozenset(("private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"))
COPY_UP = "tmpcopyup"
"""A tmpfs that starts with what it covers: an option of runc's, and Podman's for `--read-only`."""
OPTIONS = frozenset(
    (
        *("ro", "rw", "rro", "bind", "rbind", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime"),
        *("relatime", "strictatime", "nodiratime", "diratime", "nosymfollow", "async", "defaults", "newinstance"),
        *("idmap", "ridmap"),
        *PROPAGATIONS,
    )
)
"""mount(8)'s words that mean something here. Others without a value are a file system's own, or refused."""
_INSIDE = ("proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2")
"""Kinds that are of the container's own namespaces, and so are made in them, each at its place."""
_KIND = re.compile(r"[a-z0-9_.]{1,32}")
_MAPS = ("idmap", "ridmap")


@dataclass(frozen=True, slots=True)
class MappedMount:
    """The maps of one mount: from the disk's ids to those that show."""

    uids: Rows
    gids: Rows
    recursive: bool


@dataclass(frozen=True, slots=True)
class MadeMount:
    """A file system that the caller makes, and that is a bind for init."""

    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Mounts:
    """All of a bundle's. `mapped` and `made` go by a mount's number among the binds."""

    all: tuple[oci.Mount, ...]
    mapped: dict[int, MappedMount]
    made: dict[int, MadeMount]


def mounts(asked: Sequence[documents.Mount], directory: str, *, users: bool) -> Mounts:
    """`users`: the container has a user namespace of its own. Raises InvalidParameter, NotImplementedHere."""
    found = tuple(_mount(mount, directory) for mount in asked)
    if not any(mount.destination == "/dev" for mount in found):
        raise NotImplementedHere("a bundle without a mount on /dev is not implemented: add a tmpfs there")
    binds = [(each, mount) for each, mount in zip(asked, found, strict=True) if mount.type == "bind"]
    mapped = {number: maps for number, (each, _) in enumerate(binds) if (maps := _maps(each))}
    for each, mount in zip(asked, found, strict=True):
        words = set(each.options or ()) & set(_MAPS)
        if (mount.type != "bind" or _is_made(each)) and (words or each.uid_mappings or each.gid_mappings):
            raise InvalidParameter(
                f"the mount on {mount.destination}: id-mapped mounts are only supported for bind mounts"
            )
        if words and not each.uid_mappings and not users:
            raise InvalidParameter(
                f"the mount on {mount.destination}: {min(words)} without maps and without a user namespace"
            )
    made = {number: MadeMount(each.type, each.source) for number, (each, _) in enumerate(binds) if _is_made(each)}
    if made and users:
        kind = min(each.kind for each in made.values())
        raise NotImplementedHere(
            f"a mount of type {kind} with a user namespace is not implemented: bind one that is there"
        )
    return Mounts(found, mapped, made)


def _is_made(asked: documents.Mount) -> bool:
    return not {"bind", "rbind"} & set(asked.options or ()) and asked.type not in ("bind", "tmpfs", *_INSIDE)


def _maps(asked: documents.Mount) -> MappedMount | None:
    if not asked.uid_mappings and not asked.gid_mappings:
        return None
    what = f"the mount on {asked.destination}"
    if not asked.uid_mappings or not asked.gid_mappings:
        raise InvalidParameter(f"{what}: both uidMappings and gidMappings must be provided")
    return MappedMount(
        uids=rows(asked.uid_mappings, f"{what}: uidMappings"),
        gids=rows(asked.gid_mappings, f"{what}: gidMappings"),
        recursive="ridmap" in (asked.options or ()),
    )


def _mount(asked: documents.Mount, directory: str) -> oci.Mount:
    if not asked.destination or "\0" in asked.destination + asked.source:
        raise InvalidParameter(f"invalid mount destination {asked.destination[:80]!r}")
    destination = os.path.normpath("/" + asked.destination.lstrip("/"))
    options = asked.options or ()
    is_bind = asked.type == "bind" or "bind" in options or "rbind" in options
    kind = "bind" if is_bind else "cgroup" if asked.type == "cgroup2" else asked.type
    if kind == "tmpfs" and COPY_UP in options and destination not in _OWN:
        return oci.Mount(destination=destination, type="bind", options=options)
    if asked.type and not is_bind and asked.type not in ("tmpfs", *_INSIDE):
        if not _KIND.fullmatch(asked.type):
            raise InvalidParameter(f"the mount on {destination}: {asked.type[:40]!r} is no file system")
        return oci.Mount(destination=destination, type="bind", source=asked.source, options=options)
    for option in options:
        # A bind has no file system of its own to be told: what has a value goes unheard there, as it does with mount(2).
        if option not in OPTIONS and "=" not in option:
            raise NotImplementedHere(f"the mount on {destination}: the option {option[:80]!r} is not implemented")
    if kind == "bind":
        source = os.path.normpath(os.path.join(directory, asked.source))
        if asked.uid_mappings:
            # They have said which, and the container's own are not meant.
            options = tuple(option for option in options if option not in _MAPS)
        return oci.Mount(destination=destination, type=kind, source=source, options=options)
    supported = kind == "tmpfs" or _OWN.get(destination) == kind or (kind, destination) == ("cgroup", "/sys/fs/cgroup")
    if not supported:
        raise NotImplementedHere(f"a mount of type {asked.type[:40]!r} on {destination} is not implemented")
    return oci.Mount(destination=destination, type=kind, source=asked.source, options=options)
