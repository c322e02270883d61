"""The plugins that are installed: their records in the state, and how one is named.

A record is there once everything that it names is durable, and goes before anything of it does.
"""

import re
from collections.abc import Iterator
from concurrent.futures import Future

import msgspec

from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.images.references import parse_reference
from sampan.spec.ids import Digest
from sampan.spec.plugins import Plugin, PluginConfig, PluginSettings
from sampan.state.records import decoded
from sampan.state.store import Delete, Put, Store

TABLE = "plugins"
"""Table of records by id."""
_FULL_ID = re.compile(r"[0-9a-f]{64}")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin. `reference` is what it was pulled by; the digests are those of blobs in the plugins' own store.

    `root` is the name of its directory on the shelf. `enabled`: it is to run. `timeout`: seconds that a request may take, 0 for
    Docker's default.
    """

    id: str
    name: str
    reference: str
    config: PluginConfig
    settings: PluginSettings
    configuration: Digest
    manifest: Digest
    media_type: str
    layers: tuple[Digest, ...]
    root: str
    enabled: bool = False
    timeout: int = 0

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """All that it needs of the store."""
        return (self.configuration, self.manifest, *self.layers)

    def shown(self) -> Plugin:
        """As the API shows it."""
        return Plugin(
            config=self.config,
            enabled=self.enabled,
            id=self.id,
            name=self.name,
            plugin_reference=self.reference,
            settings=self.settings,
        )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def is_any(store: Store) -> bool:
    """Whether some plugin is installed: what runs them is loaded only then."""
    return bool(store.table(TABLE))


class Catalog:
    """All records. Changed on one thread, the daemon's event loop; the futures end when a change is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records = {key: decoded(TABLE, key, data, _decoder.decode) for key, data in store.table(TABLE).items()}

    def __iter__(self) -> Iterator[Record]:
        return iter(tuple(self._records.values()))

    def get(self, identifier: str) -> Record | None:
        """By the full id."""
        return self._records.get(identifier)

    def find(self, text: str) -> Record:
        """A plugin by full id, name (`latest` where it has no tag) or beginning of an id.

        Raises NotFound, InvalidParameter for several, in Docker's words.
        """
        missing = NotFound(f'plugin "{text}" not found')
        if _FULL_ID.fullmatch(text):
            found = self._records.get(text)
            if found is None:
                raise missing
            return found
        try:
            reference = parse_reference(text)
        except InvalidParameter:
            raise missing from None
        if reference.digest is not None:
            raise missing
        name = reference.with_default_tag().familiar
        for record in self._records.values():
            if record.name == name:
                return record
        begins = [record for record in self._records.values() if record.id.startswith(text)]
        if len(begins) > 1:
            raise InvalidParameter(f'multiple plugins found for "{text}"')
        if not begins:
            raise missing
        return begins[0]

    def check_name(self, name: str, kind: type[Conflict] | type[InvalidParameter] = Conflict) -> None:
        """Raise `kind` where some plugin is called so already."""
        if any(record.name == name for record in self._records.values()):
            raise kind(f"plugin {name} already exists")

    def put(self, record: Record) -> "Future[None]":
        """A new record, or another one for the same id."""
        self._records[record.id] = record
        return self._store.commit([Put(TABLE, record.id, _encoder.encode(record))])

    def remove(self, record: Record) -> "Future[None]":
        """Forget it."""
        self._records.pop(record.id, None)
        return self._store.commit([Delete(TABLE, record.id)])
