"""`RUN --mount=type=…,target=…`: what the words say once their variables are known."""

import csv
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from sampan.dockerfile.faults import DockerfileError, quoted, suggestion

_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid", "src",
    "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A mount of one RUN. `source` is a path in `origin`: a stage, an image, "" for the context. `size` in bytes, 0: no limit.

    `identity` is `id=`. `variable` is `env=`: the secret becomes a variable, not a file; None is no variable.
    """

    type: MountType = "bind"
    origin: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    size: int = 0
    identity: str = ""
    sharing: str = ""
    required: bool = False
    variable: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def mount_fields(text: str) -> list[str]:
    """The fields of a mount, quoted as in CSV. Raises DockerfileError."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DockerfileError(f"failed to parse csv mounts: {error}") from None
    return rows[0] if rows else []


def mount_origin(text: str) -> str:
    """What `from=` names, which must be known before the variables are. Raises DockerfileError."""
    origin = ""
    for field in mount_fields(text):
        key, _, value = field.partition("=")
        if key.lower() == "from":
            if "$" in value[:-1]:
                raise DockerfileError("'from' doesn't support variable expansion, define alias stage instead")
            origin = value
    return origin


def parse_mount(text: str, expand: Callable[[str], str]) -> Mount:
    """The mount that `text` describes; `expand` puts variables in. Raises DockerfileError in BuildKit's wording."""
    values: dict[str, object] = {"type": "bind"}
    for field in mount_fields(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        _read(values, key, field, expand(value) if equals else None)
    kind = values["type"]
    if kind not in ("secret", "ssh", "cache"):
        for key in ("mode", "uid", "gid"):
            if key in values:
                raise DockerfileError(f'{key} not allowed for "{kind}" type mounts')
    values.setdefault("read_only", kind not in ("cache", "tmpfs"))
    mount = msgspec.convert(values, Mount)
    if mount.type == "secret":
        _check_secret(mount)
    if mount.sharing and mount.type != "cache":
        raise DockerfileError(f"invalid cache sharing set for {mount.type} mount")
    return mount


def _read(values: dict[str, object], key: str, field: str, value: str | None) -> None:
    if key in ("readonly", "ro"):
        values["read_only"] = _boolean(key, value)
    elif key in ("readwrite", "rw"):
        values["read_only"] = not _boolean(key, value)
    elif key == "required":
        _only_for(values, key, ("secret", "ssh"))
        values["required"] = _boolean(key, value)
    elif value is None:
        raise DockerfileError(f"invalid field '{field}' must be a key=value pair")
    elif key == "type":
        values["type"] = _one_of(value, _TYPES, "mount type")
    elif key == "sharing":
        values["sharing"] = _one_of(value, _SHARING, "sharing value")
    elif key == "size":
        _only_for(values, key, ("tmpfs",))
        values["size"] = _size(value)
    elif key in ("mode", "uid", "gid"):
        values[key] = _number(key, value)
    elif key in _TEXTS:
        values[_TEXTS[key]] = value
    else:
        raise DockerfileError(f"unexpected key '{key}' in '{field}'{suggestion(key, _KEYS)}")


_TEXTS = {
    "from": "origin", "source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target",
    "id": "identity", "env": "variable",
}  # fmt: skip


def _only_for(values: dict[str, object], key: str, types: tuple[str, ...]) -> None:
    if values["type"] not in types:
        raise DockerfileError(f"unexpected key '{key}' for mount type '{values['type']}'")


def _boolean(key: str, value: str | None) -> bool:
    if value is None or value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise DockerfileError(f"invalid value for {key}: {value}")


def _one_of(value: str, options: tuple[str, ...], what: str) -> str:
    if value.lower() not in options:
        raise DockerfileError(f"unsupported {what} {quoted(value)}{suggestion(value, options)}")
    return value.lower()


def _size(value: str) -> int:
    match = _SIZE.fullmatch(value)
    if match is None or len(value) > 30:
        raise DockerfileError(f"invalid value for size: {value}")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def _number(key: str, value: str) -> int:
    base, digits = (8, "01234567") if key == "mode" else (10, "0123456789")
    if not value or len(value) > 20 or value.strip(digits) or int(value, base) >= 1 << 32:
        raise DockerfileError(f"invalid value {value} for {key}")
    return int(value, base)


def _check_secret(mount: Mount) -> None:
    if mount.origin:
        raise DockerfileError("secret mount should not have a from")
    if not (mount.source or mount.target or mount.identity):
        raise DockerfileError("invalid secret mount. one of source, target required")
    if mount.source and mount.identity:
        raise DockerfileError("both source and id can't be set")
