"""`-v source:destination:mode` and its kin: what the words mean and which go together. Pure, in Docker's messages."""

import posixpath

import msgspec

from sampan.errors import InvalidParameter

_PROPAGATION = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_GROUPS: tuple[frozenset[str], ...] = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    _PROPAGATION,
    frozenset({"nocopy"}),
    frozenset({"idmap"}),
    frozenset({"consistent", "cached", "delegated"}),
)
DEFAULT_PROPAGATION = "rprivate"


class MountPoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mount that a container was created with, as it is kept.

    `type` is bind, volume, image or tmpfs. `source` is a path on the host for a bind, empty for the others (a volume is found by
    `name` at each start, an image by `image`). `words` are what tmpfs was given.
    """

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    nocopy: bool = False
    nonrecursive: bool = False
    readonly_nonrecursive: bool = False
    readonly_forced: bool = False
    idmap: bool = False
    """A bind whose files are seen with the maps of the container's user namespace, as those of volumes always are."""
    make_source: bool = False
    """A missing source directory is made, as `-v` does and `--mount` does not."""
    anonymous: bool = False
    subpath: str = ""
    image: str = ""
    """the id of what `name` meant when the container was made, for type image"""
    words: tuple[str, ...] = ()
    listed: bool = True
    """Shown by inspect. `--tmpfs` is not: Docker shows it in HostConfig.Tmpfs only."""


def parse_bind(text: str, volume_driver: str) -> MountPoint:
    """One entry of HostConfig.Binds. Raises InvalidParameter."""
    parts = text.split(":", 3)
    if not parts[0] or len(parts) == 4:
        raise _invalid(text)
    source, target, mode = "", parts[0], ""
    if len(parts) >= 2:
        source, target = parts[0], parts[1]
        if len(parts) == 2 and is_mode(target):
            raise _invalid(text)
        mode = parts[2] if len(parts) == 3 else ""
    if not is_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    words = mode.split(",") if mode else []
    kind = "bind" if source.startswith("/") else "volume"
    try:
        check_destination(kind, target)
        if kind == "bind" and "nocopy" in words:
            raise InvalidParameter(f'invalid mount config for type "{kind}": field VolumeOptions must not be specified')
        if kind == "volume" and _PROPAGATION & set(words):
            raise InvalidParameter(f'invalid mount config for type "{kind}": field BindOptions must not be specified')
        if kind == "volume" and not source and "ro" in words:
            text_ = "must not set ReadOnly mode when using anonymous volumes"
            raise InvalidParameter(f'invalid mount config for type "{kind}": {text_}')
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid volume specification: '{text}': {error}") from error
    writable = "ro" not in words
    if kind == "bind":
        return MountPoint(
            type=kind,
            source=clean(source),
            destination=clean(target),
            mode=mode,
            rw=writable,
            propagation=next((word for word in words if word in _PROPAGATION), DEFAULT_PROPAGATION),
            idmap="idmap" in words,
            make_source=True,
        )
    return MountPoint(
        type=kind,
        name=source,
        destination=clean(target),
        mode=mode,
        rw=writable,
        driver=volume_driver,
        nocopy="nocopy" in words,
        anonymous=not source,
    )


def _invalid(text: str) -> InvalidParameter:
    return InvalidParameter(f"invalid volume specification: '{text}'")


def is_mode(text: str) -> bool:
    """Whether `text` is a mode: comma-separated words, at most one of each group."""
    if not text:
        return True
    words = text.split(",")
    known = sum(sum(word in group for word in words) for group in _GROUPS)
    return known == len(words) and all(sum(word in group for word in words) <= 1 for group in _GROUPS)


def is_propagation(text: str) -> bool:
    """Whether `text` names a propagation that the API takes."""
    return text in _PROPAGATION


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """`container[:mode]` as the container and whether it may write. Raises InvalidParameter."""
    if not text:
        raise InvalidParameter("volumes-from specification cannot be an empty string")
    container, _, mode = text.partition(":")
    words = mode.split(",") if mode else []
    if not is_mode(mode) or _PROPAGATION & set(words) or "nocopy" in words:
        raise InvalidParameter(f"invalid mode: {mode}")
    return container, "ro" not in words


def check_destination(kind: str, target: str) -> None:
    """Refuse a destination that is empty, relative or the root itself. Raises InvalidParameter."""
    prefix = f'invalid mount config for type "{kind}": '
    if not target:
        raise InvalidParameter(prefix + "field Target must not be empty")
    if clean(target) == "/":
        raise InvalidParameter(prefix + "invalid specification: destination can't be '/'")
    check_absolute(kind, target)


def check_absolute(kind: str, path: str) -> None:
    """Refuse a relative path. Raises InvalidParameter."""
    if not path.startswith("/"):
        text = f"invalid mount path: '{path}' mount path must be absolute"
        raise InvalidParameter(f'invalid mount config for type "{kind}": {text}')


def clean(path: str) -> str:
    """`path` without empty, `.` and `..` parts, as Go's path.Clean has it."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def tmpfs_words(text: str) -> tuple[str, ...]:
    """Options of `--tmpfs /path:options`: the defaults noexec, nosuid, nodev, each undone by its opposite; later words win.

    Raises InvalidParameter for a word that tmpfs does not have.
    """
    opposites = {"exec": "noexec", "suid": "nosuid", "dev": "nodev", "rw": "ro", "sync": "async", "atime": "noatime"}
    opposites.update({value: key for key, value in list(opposites.items())})
    flags = {*opposites, "relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime", "defaults"}
    flags |= {"rprivate", "private", "rslave", "slave", "rshared", "shared", "remount", "bind", "rbind"}
    data = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}
    chosen: list[str] = []
    for word in ["noexec", "nosuid", "nodev", *(text.split(",") if text else [])]:
        key, equals, _ = word.partition("=")
        if not (key in data and equals) and word not in flags:
            raise InvalidParameter(f"Invalid tmpfs option {[word]!r}".replace("'", '"'))
        dropped = {word, opposites.get(word, "")} if not equals else set()
        chosen = [old for old in chosen if old not in dropped and not (equals and old.startswith(key + "="))]
        chosen.append(word)
    return tuple(word for word in chosen if word != "defaults")
