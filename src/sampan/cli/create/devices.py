"""Devices of the host: --device, CDI names, --gpus."""

from __future__ import annotations

import posixpath

from sampan.cli.create.csv_fields import fields
from sampan.cli.create.environment import pairs_to_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document, Json


def device_mappings(specifications: list[str]) -> tuple[list[Json], list[str]]:
    """(DeviceMappings, CDI device names). ValueError in Docker's words."""
    mappings: list[Json] = []
    names: list[str] = []
    for specification in specifications:
        if _is_cdi(specification):
            names.append(specification)
        else:
            mappings.append(_mapping(specification))
    return mappings, names


def _is_cdi(text: str) -> bool:
    """vendor/class=name, as the Container Device Interface has it."""
    kind, equals, name = text.partition("=")
    vendor, slash, device_class = kind.partition("/")
    return bool(equals and slash and name and vendor[:1].isalpha() and device_class[:1].isalpha() and ":" not in kind)


def _is_mode(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _mapping(text: str) -> Document:
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise ValueError(f"bad format for path: {text}")
    mode = "rwm"
    target = parts[0]
    if len(parts) == 3:
        target, mode = parts[1], parts[2]
        if not _is_mode(mode):
            raise ValueError(f"bad mode specified: {mode}")
    elif len(parts) == 2:
        if _is_mode(parts[1]):
            mode = parts[1]
        else:
            target = parts[1]
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    source = posixpath.normpath(parts[0]) if len(parts) == 1 or target == parts[0] else parts[0]
    clean = posixpath.normpath(target) if len(parts) < 3 else target
    return {"PathOnHost": source, "PathInContainer": clean, "CgroupPermissions": mode}


def gpu_request(text: str) -> Document:
    """--gpus as the API's DeviceRequest."""
    found: Document = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": {}}
    seen: set[str] = set()
    for field in fields(text):
        key, equals, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not equals:
            seen.add("count")
            found["Count"] = _count(key)
        elif key == "driver":
            found["Driver"] = value
        elif key == "count":
            found["Count"] = _count(value)
        elif key == "device":
            found["DeviceIDs"] = [*value.split(",")]
        elif key == "capabilities":
            found["Capabilities"] = [[*value.split(","), "gpu"]]
        elif key == "options":
            found["Options"] = pairs_to_document(fields(value))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and found["DeviceIDs"] is None:
        found["Count"] = 1
    if found["Capabilities"] is None:
        found["Capabilities"] = [["gpu"]]
    return found


def _count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax') from None
