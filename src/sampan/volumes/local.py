"""The driver `local`: `volumes/NAME/_data` below the data root, and the record of each volume in the state.

    volumes  name → VolumeRecord

The record is the truth: a directory without one is what a crash left, and goes at the next start; a record without a
directory gets one again.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sampan.errors import Conflict, InvalidParameter, NotFound, System
from sampan.files.atomic import make_directory, sync_directory
from sampan.files.measure import measure
from sampan.files.quotas import Quotas
from sampan.files.remove import remove_tree
from sampan.files.root import SafeRoot
from sampan.spec.ids import ContainerId
from sampan.state.records import decoded
from sampan.state.store import Change, Delete, Put, Store
from sampan.volumes import options as words
from sampan.volumes.population import discard_copies, populate

TABLE = "volumes"
DRIVER = "local"
ANONYMOUS = "com.docker.volume.anonymous"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_NAME_LIMIT = 255
_ALLOWED = "[a-zA-Z0-9][a-zA-Z0-9_.-]"

Users = Callable[[str], Sequence[ContainerId]]
"""Tells which containers refer to the volume of that name; supplied by whoever knows containers."""


class VolumeRecord(msgspec.Struct, frozen=True):
    """What is kept of a volume. `created` in nanoseconds since the epoch."""

    created: int
    labels: dict[str, str]
    options: dict[str, str] = {}
    pending: bool = False
    """made for a container that is not there yet, or of one that goes: see `Volumes.sweep`"""


_decoder = msgspec.json.Decoder(VolumeRecord)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume. `mountpoint` is its directory on the host; `anonymous` where it was made without a name.

    `options` are the driver's. With a type and a device the directory is only the place of a mount (`mounted`).
    """

    name: str
    mountpoint: str
    created_ns: int
    labels: Mapping[str, str]
    anonymous: bool
    options: Mapping[str, str] = field(default_factory=dict)
    driver: str = DRIVER
    scope: str = "local"

    @property
    def mounted(self) -> bool:
        """What is in it lies elsewhere, and is mounted when a container uses it."""
        return words.is_mounted(self.options)


class NoSuchVolume(NotFound):
    """In Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume")


class VolumeInUse(Conflict):
    """In Docker's words."""

    def __init__(self, name: str, users: Sequence[str]) -> None:
        super().__init__(f"remove {name}: volume is in use - [{', '.join(users)}]")


class Volumes:
    """The volumes of one data root. Any thread may call; changes are durable when a method returns."""

    def __init__(self, store: Store, directory: Path, quotas: Quotas | None = None) -> None:
        """Open or make `directory` (its parent exists), on a file system with `quotas`. Directories without a record go."""
        self._quotas = quotas
        self._store = store
        self._directory = make_directory(directory, 0o701)
        self._table = store.table(TABLE)
        self._lock = threading.RLock()
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in os.listdir(directory):
                if name not in self._table:
                    remove_tree(handle, os.fsencode(name))
        finally:
            os.close(handle)
        for name in self._table:
            self._make_directory(name, words.size_of(self.get(name).options))
            with SafeRoot(str(self._directory / name)) as volume:
                discard_copies(volume.fd)

    def create(
        self,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        driver: str = DRIVER,
        options: Mapping[str, str] | None = None,
        pending: bool = False,
    ) -> Volume:
        """The volume of that name, made where it is missing; "" makes an anonymous one.

        `pending`: one that is made stays only with a commit of what `settled` gives.
        Raises InvalidParameter for the name or the options, NotFound for another driver.
        """
        anonymous = not name
        name = name or os.urandom(32).hex()
        if driver not in ("", DRIVER):
            raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        _check_name(name)
        _check_options(name, options or {}, quotas=self._quotas is not None)
        with self._lock:
            if name not in self._table:
                kept = {**(labels or {}), **({ANONYMOUS: ""} if anonymous else {})}
                record = VolumeRecord(time.time_ns(), kept, dict(options or {}), pending)
                try:
                    self._make_directory(name, words.size_of(options or {}))
                    sync_directory(self._directory)
                    self._store.commit([Put(TABLE, name, msgspec.json.encode(record))]).result()
                except (System, OSError):
                    # After anything else the record may be there: a directory without one goes at the next start.
                    self._remove_directory(name)
                    raise
        return self.get(name)

    def get(self, name: str) -> Volume:
        """The volume. Raises NoSuchVolume."""
        record = self._record(name)
        mountpoint = str(self._directory / name / "_data")
        return Volume(name, mountpoint, record.created, record.labels, ANONYMOUS in record.labels, record.options)

    def _record(self, name: str) -> VolumeRecord:
        data = self._table.get(name)
        if data is None:
            raise NoSuchVolume(name)
        return decoded(TABLE, name, data, _decoder.decode)

    def settled(self, names: Iterable[str], pending: bool = False) -> tuple[Change, ...]:
        """What is to be committed with a container so that its volumes stay with it, or go with it (`pending`)."""
        with self._lock:
            records = {name: msgspec.structs.replace(self._record(name), pending=pending) for name in names}
        return tuple(Put(TABLE, name, msgspec.json.encode(record)) for name, record in records.items())

    def stay(self, name: str) -> None:
        """It is pending no more. Raises NoSuchVolume, System."""
        self._store.commit(self.settled([name])).result()

    def sweep(self, users: Users) -> None:
        """Remove what an earlier daemon's death left pending: of containers that never came to be, or were being removed."""
        for name in [name for name in self._table if self._record(name).pending]:
            if users(name):
                self.stay(name)
            else:
                self.remove(name, users)

    def has(self, name: str) -> bool:
        """Whether there is a volume of that name."""
        return name in self._table

    def list(self) -> tuple[Volume, ...]:
        """All volumes, by name."""
        return tuple(self.get(name) for name in sorted(self._table))

    def remove(self, name: str, users: Users) -> None:
        """Remove a volume and what is in it. Raises NoSuchVolume, VolumeInUse; OSError where the files cannot be deleted."""
        with self._lock:
            self.get(name)
            if using := users(name):
                raise VolumeInUse(name, using)
            # The record first: a crash after it leaves a directory that the next start removes.
            self._store.commit([Delete(TABLE, name)]).result()
            self._remove_directory(name)

    def populate(self, name: str, image_root: int, path: str, in_use: bool = False) -> bool:
        """Copy what the image has at `path` into the volume, if the volume is empty; whether that was done.

        `image_root` is a descriptor of the image's root (`Snapshotter.view`). `in_use`: a container has the volume mounted.
        Raises NoSuchVolume, OSError.
        """
        self.get(name)
        with self._lock:
            with SafeRoot(str(self._directory / name)) as volume:
                return populate(volume.fd, image_root, path, in_use)

    def size(self, name: str) -> int:
        """Bytes of the files in the volume, by walking it. Raises NoSuchVolume."""
        self.get(name)
        with SafeRoot(str(self._directory / name)) as volume:
            data = volume.open("_data", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                return measure(data)[0]
            finally:
                os.close(data)

    def _remove_directory(self, name: str) -> None:
        """Nothing happens where it is not there. Raises OSError; what is left then is no volume's, and goes at the next start.

        Renamed first: a volume of that name that is made afterwards must not begin with what is in here.
        """
        place, gone = self._directory / name, f".{os.urandom(12).hex()}"
        with SafeRoot(str(self._directory)) as directory:
            try:
                os.rename(place, self._directory / gone)
            except FileNotFoundError:
                return
            if self._quotas is not None:
                self._quotas.free(self._directory / gone)
            remove_tree(directory.fd, os.fsencode(gone))

    def _make_directory(self, name: str, size: int = 0) -> None:
        place = make_directory(self._directory / name, 0o701)
        data = place / "_data"
        if not data.exists():
            if size and self._quotas is not None:
                # Before anything is made in it: what is copied in first counts, too.
                self._quotas.bound((place,), size)
            make_directory(data, 0o755)


def _check_name(name: str) -> None:
    if len(name) == 1:
        raise InvalidParameter(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name) or len(name) > _NAME_LIMIT:
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "{_ALLOWED}" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )


def _check_options(name: str, options: Mapping[str, str], *, quotas: bool) -> None:
    try:
        words.check(options, quotas)
    except InvalidParameter as error:
        raise InvalidParameter(f"create {name}: {error}") from error
