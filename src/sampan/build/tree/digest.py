"""The content digest of a selection: over names, kinds, modes, link targets, attributes and bytes. Times do not count.

Every value goes in with its length in front, so that no two selections make the same bytes (hash collisions by joining).
"""

import hashlib
import os
from collections.abc import Iterator, Sequence

from sampan.build.tree.index import Index, Node, below, tops
from sampan.build.tree.selection import BadSelection, parse_path
from sampan.build.tree.source import Origin, SourceMissing
from sampan.files import tar_reader as tar

_FORM = b"sampan tree 1"
"""Changes when the same files come to have another digest."""

_SHORT = 16


def digest(index: Index, paths: Sequence[str], excludes: Sequence[str], parents: bool) -> str:
    """`sha256:…` of what `paths` select. Raises SourceMissing; BadSelection also for links in a circle."""
    hashed = hashlib.sha256(_FORM)
    for path in paths:
        for part in _parts(index, path, excludes, parents):
            hashed.update(b"%d:" % len(part) + part)
    return "sha256:" + hashed.hexdigest()


def listing(index: Index, paths: Sequence[str], excludes: Sequence[str], parents: bool, most: int) -> dict[str, str]:
    """A digest for each file of the selection by its path in the context, to name what changed: for people, no keys.

    Nothing where there are more than `most`, or the selection is none.
    """
    found: dict[str, str] = {}
    for path in paths:
        wanted = parse_path(path, excludes, parents)
        try:
            chosen = tops(index, wanted)
        except OSError:
            return {}
        for name, top in chosen:
            inside = ((f"{name}/{os.fsdecode(entry.path)}", entry.item) for entry in below(top, wanted))
            for called, node in [(name, top)] if top.children is None else inside:
                if node.children is None:
                    found[called.removeprefix("/")] = hashlib.sha256(b"\0".join(_described(node))).hexdigest()[:_SHORT]
                if len(found) > most:
                    return {}
    return found


def _parts(index: Index, path: str, excludes: Sequence[str], parents: bool) -> Iterator[bytes]:
    wanted = parse_path(path, excludes, parents)
    yield b"path"
    try:
        found = tops(index, wanted)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(path, Origin.CONTEXT) from error
    except OSError as error:
        raise BadSelection(f"stat {path}: {(error.strerror or str(error)).lower()}") from error
    met = False
    for name, top in found:
        # A directory's own name and attributes are not copied; a file's name is what it is called in a directory.
        yield b"top"
        yield os.fsencode(name.rpartition("/")[2]) if top.children is None else b""
        if top.children is None:
            yield from _described(top)
            continue
        for entry in below(top, wanted):
            met = True
            yield os.fsencode(entry.path)
            yield from _described(entry.item)
    if parents and wanted.required and not met:
        raise SourceMissing(path, Origin.CONTEXT)


def _described(node: Node) -> tuple[bytes, bytes, bytes, bytes]:
    """Kind and mode; target or device; attributes; content."""
    head = node.kind + b"%o" % (0 if node.kind == tar.SYMLINK else node.mode)
    where = node.link if node.kind == tar.SYMLINK else b"%d" % node.rdev
    attributes = b""
    if node.xattrs:
        attributes = b"".join(
            b"%d:%d:%b%b" % (len(key), len(value), key, value) for key, value in sorted(node.xattrs.items())
        )
    return head, where, attributes, node.digest
