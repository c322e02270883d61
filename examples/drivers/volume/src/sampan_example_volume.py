"""Volumes that are plain directories below the driver's home. `-o mode=0700` is the directory's mode, and shown by inspect."""

import json
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from sampan.drivers.volume import Volume, VolumeDriver


class Shelf(VolumeDriver):
    """Each volume: a directory `NAME/data`, and what was asked for in `NAME/options.json`."""

    def __init__(self, home: Path) -> None:
        self._home = home / "volumes"
        self._home.mkdir(exist_ok=True)
        self._lock = threading.Lock()

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """The options are written last: a volume without them was not made."""
        unknown = sorted(set(options) - {"mode"})
        if unknown:
            raise ValueError(f"no such option: {', '.join(unknown)} (there is: mode=OCTAL)")
        mode = int(options.get("mode", "755"), 8)
        with self._lock:
            (self._home / name / "data").mkdir(parents=True, exist_ok=True)
            (self._home / name / "data").chmod(mode & 0o7777)
            (self._home / name / "options.json").write_text(json.dumps(dict(options)))

    def remove(self, name: str) -> None:
        """The options first: what is left of a volume half removed is none."""
        with self._lock:
            place = self._found(name)
            (place / "options.json").unlink()
            shutil.rmtree(place)

    def mount(self, name: str, use: str) -> Path:
        """It is there all the time."""
        return self._found(name) / "data"

    def unmount(self, name: str, use: str) -> None:
        """See `mount`."""

    def volume(self, name: str) -> Volume:
        """Its options are its status."""
        place = self._found(name)
        status = json.loads((place / "options.json").read_text())
        return Volume(name, mountpoint=str(place / "data"), status=status)

    def volumes(self) -> Iterable[Volume]:
        """Those that were made to the end."""
        return [self.volume(place.parent.name) for place in sorted(self._home.glob("*/options.json"))]

    def _found(self, name: str) -> Path:
        place = self._home / name
        if not (place / "options.json").exists():
            raise LookupError(f"no such volume: {name}")
        return place
