"""Names that came from outside, made into paths below a root: pure bytes, no file system."""

from __future__ import annotations

from sampan.errors import InvalidParameter

MAX_PATH = 4095
"""PATH_MAX without its NUL: a longer path could be made step by step but never opened again."""


class BadPath(InvalidParameter):
    """A path that leaves its root, or that no file system could hold."""


def clean(path: bytes) -> bytes:
    """`path` relative to its root, without empty and `.` parts and with `..` taken off lexically: b"" is the root itself.

    An absolute path counts from the root. Raises BadPath where `..` would leave the root, for NUL and for length.
    """
    if b"\0" in path:
        raise BadPath(f"path {shown(path)} contains a NUL byte")
    if b"/" not in path and path not in (b"", b".", b".."):
        parts = [path]
    else:
        parts = []
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            if part != b"..":
                parts.append(part)
            elif parts:
                parts.pop()
            else:
                raise BadPath(f"path {shown(path)} leaves its root")
    result = b"/".join(parts)
    if len(result) > MAX_PATH:
        raise BadPath(f"path {shown(path)} is longer than {MAX_PATH} bytes")
    return result


def check_component(name: bytes) -> bytes:
    """`name`, which must be one component that names an entry: not empty, `.` or `..`, no slash, no NUL. Raises BadPath."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise BadPath(f"{shown(name)} is not the name of a file")
    return name


def split(path: bytes) -> tuple[bytes, bytes]:
    """Parent and last component of a path that `clean` made."""
    parent, _, name = path.rpartition(b"/")
    return parent, name


def shown(path: bytes) -> str:
    """`path` for a message: quoted, printable, at most 200 characters of it."""
    text = path[:200].decode("utf-8", "backslashreplace")
    quoted = '"' + "".join(c if c.isprintable() and c not in '"\\' else repr(c)[1:-1] for c in text) + '"'
    return quoted if len(path) <= 200 else quoted + "…"
