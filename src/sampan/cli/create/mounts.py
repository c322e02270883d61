"""What is mounted into a container: the values of --mount, -v and --tmpfs."""

from __future__ import annotations

from sampan.cli.create.csv_fields import fields
from sampan.cli.create.environment import absolute
from sampan.cli.values import ram_bytes, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.client.documents import Document

_BARE = frozenset(("readonly", "ro", "volume-nocopy", "bind-nonrecursive"))
_RECURSIVE = {
    "enabled": "",
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}


def mount(text: str) -> Document:
    """`type=bind,source=…,target=…,…` as the API's Mount. ValueError in Docker's words."""
    if not text.strip():
        raise ValueError("value is empty")
    found: Document = {"Type": "volume"}
    for field in fields(text.strip()):
        key, equals, value = field.partition("=")
        if key != key.strip():
            raise ValueError(f"invalid option '{key.strip()}' in '{field}': option should not have whitespace")
        if equals and not value.strip():
            raise ValueError(f"invalid value for '{key}': value is empty")
        if value != value.strip():
            raise ValueError(f"invalid value for '{key}' in '{field}': value should not have whitespace")
        key = key.lower()
        if not equals and key not in _BARE:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        setter = _SETTERS.get(key)
        if setter is None:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        setter(found, key, value if equals else "true")
    return _checked(found)


def _part(found: Document, name: str) -> Document:
    part = found.setdefault(name, {})
    assert isinstance(part, dict)
    return part


def _truth(key: str, value: str) -> bool:
    try:
        return truth(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _set_type(found: Document, _key: str, value: str) -> None:
    found["Type"] = value.lower()


def _set_source(found: Document, _key: str, value: str) -> None:
    found["Source"] = absolute(value)


def _set_target(found: Document, _key: str, value: str) -> None:
    found["Target"] = value


def _set_read_only(found: Document, key: str, value: str) -> None:
    found["ReadOnly"] = _truth(key, value)


def _set_consistency(found: Document, _key: str, value: str) -> None:
    found["Consistency"] = value.lower()


def _set_propagation(found: Document, _key: str, value: str) -> None:
    _part(found, "BindOptions")["Propagation"] = value.lower()


def _set_non_recursive(found: Document, key: str, value: str) -> None:
    _part(found, "BindOptions")["NonRecursive"] = _truth(key, value)


def _set_recursive(found: Document, key: str, value: str) -> None:
    if value not in _RECURSIVE:
        raise ValueError(f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")')
    if _RECURSIVE[value]:
        _part(found, "BindOptions")[_RECURSIVE[value]] = True


def _set_subpath(found: Document, key: str, value: str) -> None:
    _part(found, "VolumeOptions" if key.startswith("volume") else "ImageOptions")["Subpath"] = value


def _set_no_copy(found: Document, _key: str, value: str) -> None:
    try:
        _part(found, "VolumeOptions")["NoCopy"] = truth(value)
    except ValueError:
        raise ValueError(f"invalid value for volume-nocopy: {value}") from None


def _set_volume_label(found: Document, _key: str, value: str) -> None:
    name, _, content = value.partition("=")
    _part(_part(found, "VolumeOptions"), "Labels")[name] = content


def _set_volume_driver(found: Document, _key: str, value: str) -> None:
    _part(_part(found, "VolumeOptions"), "DriverConfig")["Name"] = value


def _set_volume_option(found: Document, _key: str, value: str) -> None:
    name, _, content = value.partition("=")
    _part(_part(_part(found, "VolumeOptions"), "DriverConfig"), "Options")[name] = content


def _set_tmpfs_size(found: Document, key: str, value: str) -> None:
    try:
        _part(found, "TmpfsOptions")["SizeBytes"] = ram_bytes(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _set_tmpfs_mode(found: Document, key: str, value: str) -> None:
    if not value or any(digit not in "01234567" for digit in value):
        raise ValueError(f"invalid value for {key}: {value}")
    _part(found, "TmpfsOptions")["Mode"] = int(value, 8)


_SETTERS: dict[str, Callable[[Document, str, str], None]] = {
    "type": _set_type,
    "source": _set_source,
    "src": _set_source,
    "target": _set_target,
    "dst": _set_target,
    "destination": _set_target,
    "readonly": _set_read_only,
    "ro": _set_read_only,
    "consistency": _set_consistency,
    "bind-propagation": _set_propagation,
    "bind-nonrecursive": _set_non_recursive,
    "bind-recursive": _set_recursive,
    "volume-subpath": _set_subpath,
    "volume-nocopy": _set_no_copy,
    "volume-label": _set_volume_label,
    "volume-driver": _set_volume_driver,
    "volume-opt": _set_volume_option,
    "image-subpath": _set_subpath,
    "tmpfs-size": _set_tmpfs_size,
    "tmpfs-mode": _set_tmpfs_mode,
}


def _checked(found: Document) -> Document:
    kind = found["Type"]
    if not kind:
        raise ValueError("type is required")
    if not found.get("Target"):
        raise ValueError("target is required")
    for name, owner in (
        ("VolumeOptions", "volume"),
        ("ImageOptions", "image"),
        ("BindOptions", "bind"),
        ("TmpfsOptions", "tmpfs"),
    ):
        if name in found and kind != owner:
            raise ValueError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    _check_recursive(found)
    return found


def _check_recursive(found: Document) -> None:
    options = found.get("BindOptions")
    if not isinstance(options, dict) or found.get("ReadOnly") is True:
        return
    for key, word in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if options.get(key):
            raise ValueError(f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction")


def volumes(specifications: list[str]) -> tuple[list[str], list[str]]:
    """(-v values that bind something, anonymous volumes' targets). ValueError for an empty one.

    Only what starts with a dot is changed (made absolute); what else is in a specification is the daemon's to judge.
    """
    binds: list[str] = []
    anonymous: list[str] = []
    for specification in dict.fromkeys(specifications):
        if not specification:
            raise ValueError("invalid empty volume spec")
        if len(specification) <= 2 or ":" not in specification:
            anonymous.append(specification)
            continue
        parts = specification.split(":")
        if "" in parts:
            raise ValueError(f"invalid spec: {specification}: empty section between colons")
        binds.append(":".join([absolute(parts[0]), *parts[1:]]))
    return binds, anonymous


def tmpfs(specifications: list[str]) -> Document:
    """{PATH: OPTIONS} from PATH[:OPTIONS]."""
    found: Document = {}
    for specification in specifications:
        path, _, options = specification.partition(":")
        found[path] = options
    return found
