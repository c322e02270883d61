"""Copies of layers as a snapshot driver makes them: `snapshots.cloning.Clone` by a plugin."""

import http.client
from pathlib import Path

from sampan.drivers.asking import asked
from sampan.drivers.calls import Refused
from sampan.drivers.snapshot import KIND, Places
from sampan.errors import InvalidParameter, System
from sampan.plugins.faults import PluginBroke
from sampan.plugins.places import Source
from sampan.spec.decoding import Reader
from sampan.spec.document import encode

_SECONDS = 600.0
"""For one copy: on a file system that shares no blocks it is every byte's."""
_REFUSED = Reader(Refused)


class CloningByPlugin:
    """Called in worker threads. Raises System where the driver refuses or fails, PluginFailed where it cannot be started."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name

    def __call__(self, source: Path, target: Path) -> None:
        """See `snapshots.cloning.Clone`."""
        address = self._source.find(self._name)
        if address is None:
            raise System(f"storage driver {self._name}: no installed package declares it any more")
        question = encode(Places(str(source), str(target)))
        try:
            status, body = asked(address.socket, f"{KIND}.Clone", question, _SECONDS)
            refusal = _REFUSED.read(body).err
        except (OSError, http.client.HTTPException, InvalidParameter) as error:
            raise PluginBroke(f"storage driver {self._name}: {str(error) or type(error).__name__}") from error
        if status != 200 or refusal:
            raise System(f"storage driver {self._name}: {refusal or f'status {status}'}")
        if not target.is_dir() or target.is_symlink():
            raise PluginBroke(f"storage driver {self._name}: it has made no directory {target}")
