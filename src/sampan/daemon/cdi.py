"""Devices of the Container Device Interface (`--device vendor.com/class=name`): found in the host's specification files.

Files are read when a container starts that asks for such a device, and never else.
"""

import logging
import os
from collections.abc import Sequence

import msgspec

from sampan.errors import InvalidParameter
from sampan.spec.cdi import CdiDevice, CdiSpec, ContainerEdits

_log = logging.getLogger("sampan.daemon")
_MOST_FILES = 256
_MOST_BYTES = 1 << 20
_decoder = msgspec.json.Decoder(CdiSpec)

Found = dict[str, tuple[CdiSpec, CdiDevice]]
"""By the whole name, vendor/class=name."""


def edits(names: Sequence[str], directories: Sequence[str]) -> list[ContainerEdits]:
    """What the devices need, in order: of each file once what all its devices need, and of each device its own.

    Raises InvalidParameter that names the devices that no file describes, or more than one in a directory.
    """
    found = _devices(directories)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidParameter(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    wanted: list[ContainerEdits] = []
    specs: list[CdiSpec] = []
    for name in dict.fromkeys(names):
        spec, device = found[name]
        if not any(spec is other for other in specs):
            specs.append(spec)
            wanted.append(spec.container_edits)
        wanted.append(device.container_edits)
    return wanted


def _devices(directories: Sequence[str]) -> Found:
    """A later directory's devices hide those of an earlier one; two of one name in one directory are none."""
    found: Found = {}
    for directory in directories:
        here: Found = {}
        doubled: set[str] = set()
        for spec in _specifications(directory):
            for device in spec.devices:
                name = f"{spec.kind}={device.name}"
                if name in here:
                    doubled.add(name)
                    _log.warning("CDI device %s stands twice in %s: it is not given to anybody", name, directory)
                here[name] = (spec, device)
        found |= here
        for name in doubled:
            del found[name]
    return found


def _specifications(directory: str) -> list[CdiSpec]:
    try:
        names = sorted(os.listdir(directory))[:_MOST_FILES]
    except OSError:
        return []
    read = (_read(f"{directory}/{name}") for name in names if name.endswith((".json", ".yaml", ".yml")))
    return [spec for spec in read if spec is not None]


def _read(path: str) -> CdiSpec | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"longer than {_MOST_BYTES} bytes")
        return _decoder.decode(text)
    except (OSError, ValueError, RecursionError) as error:
        # JSON is YAML, too; of YAML nothing else is read.
        _log.warning("CDI specification %s is passed over: %s", path, error)
        return None
