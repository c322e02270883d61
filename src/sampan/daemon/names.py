"""Which containers there are, by id, name and prefix. Names are unique; a name is taken before anything is made for it."""

import bisect
import os
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from sampan.daemon.words import ADJECTIVES, SURNAMES
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.ids import ContainerId, is_container_name

_ALLOWED = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_ATTEMPTS = 20


class Named(Protocol):
    """What the registry keeps."""

    @property
    def id(self) -> ContainerId:
        """The full id."""
        ...

    @property
    def name(self) -> str:
        """The name, without a slash."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Generic[Entry]):
    """Containers in memory. A name belongs to an id from `take_name` on, whether or not its container was added yet."""

    def __init__(self) -> None:
        self._entries: dict[ContainerId, Entry] = {}
        self._ids: list[ContainerId] = []
        self._names: dict[str, ContainerId] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, container: ContainerId) -> Entry | None:
        """The container with exactly this id."""
        return self._entries.get(container)

    def find(self, reference: str) -> Entry:
        """The container called `reference`: full id, name, or prefix of an id. Raises NotFound, InvalidParameter."""
        if not reference:
            raise InvalidParameter('invalid name or ID supplied: ""')
        entry = self._entries.get(ContainerId(reference))
        if entry is not None:
            return entry
        owner = self._names.get(reference.removeprefix("/"))
        if owner is not None and (entry := self._entries.get(owner)) is not None:
            return entry
        return self._by_prefix(reference)

    def _by_prefix(self, prefix: str) -> Entry:
        place = bisect.bisect_left(self._ids, prefix)
        matches = [id_ for id_ in self._ids[place : place + 2] if id_.startswith(prefix)]
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {prefix}")
        if not matches:
            raise NotFound(f"No such container: {prefix}")
        return self._entries[matches[0]]

    def add(self, entry: Entry) -> None:
        """Show a container whose name was taken for it."""
        self._entries[entry.id] = entry
        bisect.insort(self._ids, entry.id)

    def remove(self, entry: Entry) -> None:
        """Forget a container and free its name."""
        if self._entries.pop(entry.id, None) is not None:
            del self._ids[bisect.bisect_left(self._ids, entry.id)]
        self.free_name(entry.name, entry.id)

    def take_name(self, wanted: str, owner: ContainerId) -> str:
        """Reserve a name, a random one where none is wanted. Raises InvalidParameter, Conflict in Docker's wording."""
        if not wanted:
            return self._take_random(owner)
        name = wanted.removeprefix("/")
        if not is_container_name(wanted):
            raise InvalidParameter(f"Invalid container name ({wanted}), only {_ALLOWED} are allowed")
        holder = self._names.setdefault(name, owner)
        if holder != owner:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{holder}".'
                " You have to remove (or rename) that container to be able to reuse that name."
            )
        return name

    def free_name(self, name: str, owner: ContainerId) -> None:
        """Give a name back. Does nothing where it belongs to another container by now."""
        if self._names.get(name) == owner:
            del self._names[name]

    def _take_random(self, owner: ContainerId) -> str:
        for name in random_names(_ATTEMPTS):
            if self._names.setdefault(name, owner) == owner:
                return name
        return self.take_name(owner[:12], owner)


def random_names(count: int) -> Iterable[str]:
    """`adjective_surname`, each drawn afresh; the later half carry a digit, so that they do not run out."""
    for attempt in range(count):
        drawn = int.from_bytes(os.urandom(4), "little")
        drawn, adjective = divmod(drawn, len(ADJECTIVES))
        drawn, surname = divmod(drawn, len(SURNAMES))
        digit = str(drawn % 10) if attempt >= count // 2 else ""
        yield f"{ADJECTIVES[adjective]}_{SURNAMES[surname]}{digit}"
