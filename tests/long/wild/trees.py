"""A saved image read: the tree that its layers make, its configuration, and how two of them differ."""

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Tree = dict[str, tuple[object, ...]]
"""Path → kind, mode, owners, what it holds, attributes."""

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass
class Image:
    """`config` without what is empty; `history` as (created_by, makes no layer); `layers` by digest."""

    tree: Tree
    config: dict[str, Any]
    history: list[tuple[str, bool]] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)


def read_image(archive: bytes) -> Image:
    """The image in what `docker save` wrote."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as saved:

        def content(name: str) -> bytes:
            file = saved.extractfile(saved.getmember(name))
            assert file is not None
            return file.read()

        (manifest,) = json.loads(content("manifest.json"))
        image = json.loads(content(manifest["Config"]))
        digests = image["rootfs"]["diff_ids"]
        tree: Tree = {}
        for digest, name in zip(digests, manifest["Layers"], strict=True):
            tree = apply(tree, _entries(digest, content(name)))
    history = [(one.get("created_by", ""), bool(one.get("empty_layer"))) for one in image.get("history", [])]
    config = {name: value for name, value in image["config"].items() if value not in (None, "", [], {}, False)}
    config |= {name: image[name] for name in ("architecture", "os", "variant", "author") if image.get(name)}
    return Image(tree, config, history, digests)


_known: dict[str, list[tuple[str, tuple[object, ...]]]] = {}


def _entries(digest: str, layer: bytes) -> list[tuple[str, tuple[object, ...]]]:
    """A layer's entries in their order; those of large bases once."""
    if digest in _known:
        return _known[digest]
    found = list(_read(layer))
    if len(layer) > 1 << 20:
        _known[digest] = found
    return found


def _read(layer: bytes) -> Iterator[tuple[str, tuple[object, ...]]]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for member in archive:
            name = posixpath.normpath(member.name).strip("/")
            if name == ".":
                continue
            what: object = member.linkname
            if member.isreg():
                file = archive.extractfile(member)
                assert file is not None
                what = hashlib.sha256(file.read()).hexdigest()
            elif member.islnk():
                what = posixpath.normpath(member.linkname).strip("/")
            elif member.ischr() or member.isblk():
                what = (member.devmajor, member.devminor)
            attributes = tuple(
                sorted((key, value) for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr."))
            )
            mode = member.mode & 0o7777 if not member.issym() else 0o777
            yield name, (member.type, f"{mode:o}", member.uid, member.gid, what, attributes)


def apply(below: Mapping[str, tuple[object, ...]], layer: list[tuple[str, tuple[object, ...]]]) -> Tree:
    """The tree when the layer is put on top: whiteouts take away, what is no directory hides what was below it."""
    tree = dict(below)
    hidden = {posixpath.dirname(name) for name, _ in layer if posixpath.basename(name) == _OPAQUE}
    gone = {
        posixpath.join(posixpath.dirname(name), posixpath.basename(name).removeprefix(_WHITEOUT))
        for name, _ in layer
        if posixpath.basename(name).startswith(_WHITEOUT) and posixpath.basename(name) != _OPAQUE
    }
    replaced = {name for name, entry in layer if entry[0] != tarfile.DIRTYPE or tree.get(name, entry)[0] != entry[0]}
    for name in [*tree]:
        above = _above(name)
        if name in gone or any(one in gone or one in hidden or one in replaced for one in above):
            del tree[name]
    for name, entry in layer:
        if posixpath.basename(name).startswith(_WHITEOUT):
            continue
        if entry[0] == tarfile.LNKTYPE:
            # A further name is the same file: what it holds counts, and that there are two names of one.
            entry = (*tree[str(entry[4])][:5], entry[5] or tree[str(entry[4])][5])
        tree[name] = entry
    return tree


@cache
def _above(name: str) -> tuple[str, ...]:
    parts = name.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


def differences(ours: Image, theirs: Image) -> list[str]:
    """What differs, a line each: `tree PATH: OURS | THEIRS`, `config NAME: …`."""
    found = [
        f"tree {name}: {ours.tree.get(name)} | {theirs.tree.get(name)}"
        for name in sorted(ours.tree.keys() | theirs.tree.keys())
        if ours.tree.get(name) != theirs.tree.get(name)
    ]
    found += [
        f"config {name}: {ours.config.get(name)!r} | {theirs.config.get(name)!r}"
        for name in sorted(ours.config.keys() | theirs.config.keys())
        if ours.config.get(name) != theirs.config.get(name)
    ]
    return found
