"""Records that cannot be read: told by name, and nothing is done on a guess at what they said.

A daemon that left such a record out would take what it names for nobody's: it would end the program, and delete layers and volumes.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from sampan.errors import System

T = TypeVar("T")
_SHOWN = 128
"""Letters of a key that are told."""


class BrokenRecord(System):
    """A record that this program did not write, or that was changed on the disk since."""

    def __init__(self, table: str, key: str, reason: Exception) -> None:
        super().__init__(
            f"state database: the record {key[:_SHOWN]!r} of table {table!r} cannot be read: {reason}; nothing was touched, and "
            "what runs goes on. Restore the database from a backup, or delete this record (from table entry, columns tbl and "
            "key) and what belongs to it goes at the next start"
        )


def decoded(table: str, key: str, data: bytes, decode: Callable[[bytes], T]) -> T:
    """The record. Raises BrokenRecord."""
    try:
        return decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise BrokenRecord(table, key, error) from error
