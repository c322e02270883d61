"""Which users of the host a container's users are: the two maps of its user namespace (user_namespaces(7)). Data only."""

import msgspec

Rows = tuple[tuple[int, int, int], ...]
"""Extents of a map: first id inside, first id on the host, how many."""


class UserMaps(msgspec.Struct, frozen=True):
    """The maps of users and of groups. Inside, 0 is always there; on the host, no id stands for two."""

    uids: Rows
    gids: Rows

    @property
    def root(self) -> tuple[int, int]:
        """The host's ids of the container's root."""
        return on_host(self.uids, 0), on_host(self.gids, 0)


def on_host(rows: Rows, inside: int) -> int:
    """The host's id of one inside. Raises ValueError where it has none."""
    for first, host, count in rows:
        if first <= inside < first + count:
            return host + inside - first
    raise ValueError(f"{inside} is not mapped")
