"""What one entry of an archive becomes: content, kind, attributes; by descriptor, or by name without following links."""

from __future__ import annotations

import errno
import os
import stat

from sampan.errors import HOST_TROUBLE
from sampan.files import tar_reader as tar
from sampan.files.paths import shown
from sampan.files.tar_reader import BadArchive
from sampan.files.writing import write_all
from sampan.host.mapped import is_mapped

_CHUNK = 1 << 20
_MAX_TIME = 1 << 63
_ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")
_MAPPED = is_mapped()
"""Asked when this is loaded: a jailed process has no /proc later."""
_OWN_XATTRS = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers.")
"""Overlay's, and those by which fuse-overlayfs would tell other owners and modes than a file has."""
_KEPT_XATTRS = (b"security.capability", *_ACLS)


def write_content(reader: tar.TarReader, descriptor: int, size: int) -> None:
    """`size` bytes, the current entry's, into a new file. Raises BadArchive where the archive ends, OSError."""
    left = size
    while left:
        chunk = reader.read(_CHUNK)
        left -= len(chunk)
        write_all(descriptor, chunk)


def write_regions(reader: tar.TarReader, descriptor: int, entry: tar.Entry) -> None:
    """The parts of a sparse file where they belong; what lies between them stays a hole. Raises as `write_content`."""
    os.ftruncate(descriptor, entry.size)
    for offset, length in entry.regions or ():
        end = offset + length
        while offset < end:
            chunk = reader.read(min(_CHUNK, end - offset))
            written = 0
            while written < len(chunk):
                written += os.pwrite(descriptor, memoryview(chunk)[written:], offset + written)
            offset += len(chunk)


def complete_file(descriptor: int, entry: tar.Entry, owned: bool, inherits: bool) -> None:
    """What a file that has its content still needs. `owned`: owner and mode, too; `inherits`: it may have got ACLs of its
    directory's. Raises BadArchive, OSError."""
    if owned:
        # Owner before mode and capabilities: chown(2) clears both kinds of privilege.
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)
    if inherits:
        strip_acls(descriptor)
    if entry.xattrs:
        set_xattrs(descriptor, entry.name, entry.xattrs)
    moment = moment_of(entry.mtime)
    os.utime(descriptor, ns=(moment, moment))


def judged(entry: tar.Entry, error: OSError) -> Exception:
    """The host's trouble as it is, anything else as the archive's."""
    if error.errno in HOST_TROUBLE:
        return error
    refuse_unmapped(entry.name, error)
    return BadArchive(f"{shown(entry.name)} cannot be unpacked: {error.strerror}")


def refuse_unmapped(name: bytes, error: OSError) -> None:
    """Raise BadArchive, with what to do, where an owner has no id in this user namespace (chown(2): EINVAL)."""
    if _MAPPED and error.errno == errno.EINVAL:
        raise BadArchive(
            f"{shown(name)} belongs to a user or group that is not mapped: "
            "add subordinate ids to /etc/subuid and /etc/subgid (sampan rootless check)"
        ) from error


def is_left_out(entry: tar.Entry) -> bool:
    """Whether an entry is a device that cannot be made: not by root of a user namespace. Containers have a /dev of their own."""
    return _MAPPED and entry.kind in (tar.CHARACTER, tar.BLOCK_DEVICE)


def make_special(entry: tar.Entry, directory: int, name: bytes) -> None:
    """A symbolic link, a device or a FIFO, without owner and time. Raises OSError."""
    if entry.kind == tar.SYMLINK:
        os.symlink(entry.link, name, dir_fd=directory)
    elif entry.kind == tar.FIFO:
        os.mknod(name, stat.S_IFIFO | 0o600, dir_fd=directory)
    else:
        kind = stat.S_IFCHR if entry.kind == tar.CHARACTER else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=directory)


def is_kept(key: bytes) -> bool:
    """Whether an attribute means the same on another machine. Overlay's own (`user.overlay.`) never does."""
    return key in _KEPT_XATTRS or (key.startswith(b"user.") and not key.startswith(_OWN_XATTRS))


def set_xattrs(file: int | bytes, owner: bytes, xattrs: dict[bytes, bytes]) -> None:
    """Set capabilities, ACLs and `user.*` on a descriptor, or on a name in the working directory. Raises BadArchive, OSError.

    Labels of the machine that packed (SELinux, IMA, `trusted.*`) mean nothing here and are left out; overlay's own would
    redirect what the kernel reads, and are refused. `owner` is for the message.
    """
    follow = isinstance(file, int)
    for key, value in xattrs.items():
        if b".overlay." in key + b".":
            raise BadArchive(f"{shown(owner)} carries the attribute {shown(key)} of an overlay file system")
        if not is_kept(key):
            continue
        try:
            os.setxattr(file, key, value, follow_symlinks=follow)
        except OSError as error:
            # A file system without such attributes (tmpfs before 6.6 has no user.*), or a kind of file that never has
            # them (user.* on devices and links): as Docker takes it.
            if error.errno != errno.ENOTSUP and not (error.errno == errno.EPERM and key.startswith(b"user.")):
                raise


def set_xattrs_by_name(directory: int, name: bytes, owner: bytes, xattrs: dict[bytes, bytes]) -> None:
    """The same for what cannot be opened, links and devices, themselves. Changes the working directory for a moment."""
    back = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.fchdir(directory)
        set_xattrs(name, owner, xattrs)
    finally:
        os.fchdir(back)
        os.close(back)


def strip_acls(descriptor: int) -> None:
    """Take away the lists that a new file or directory has from the directory it was made in. Raises OSError."""
    for key in _ACLS:
        try:
            os.removexattr(descriptor, key)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EACCES):
                raise


def moment_of(mtime: int) -> int:
    """`mtime` where the kernel can hold it, else the epoch, as Docker does."""
    return mtime if 0 <= mtime < _MAX_TIME else 0
