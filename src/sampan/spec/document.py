"""How every Engine API body is declared: names on the wire, what is always sent, what a nil of Go becomes.

Attributes are snake_case; the wire has Docker's exact names. A field declared with `sent(value)` is always encoded (Go
without `omitempty`); one with a plain default is left out while it has that default (Go with `omitempty`). Both may be
missing in a request. Decoding is in `decoding.py`.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Go's int64: what is larger is refused, as Go does."""
UInt16 = Annotated[int, msgspec.Meta(ge=0, le=65535)]
"""A port number, or Go's uint16."""
UInt = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A count that cannot be negative."""

Names = tuple[str, ...]
"""A list of strings."""
Pairs = dict[str, str]
"""Labels, options and the like."""


Command = Annotated[tuple[str, ...] | None, msgspec.Meta(extra={"string_is_one": True})]
"""`Cmd`, `Entrypoint`, `Shell`: null, a list of words, or one string that stands for a list of one."""


class Empty(msgspec.Struct, frozen=True):
    """Go's `struct{}`, the value of a set kept as a map."""


EMPTY = Empty()
Keys = dict[str, Empty]
"""A set of strings as Docker writes it: `{"80/tcp": {}}`."""


def sent(value: T) -> T:
    """Declare a field that is always encoded, `value` where nothing else was given.

    msgspec leaves out what *is* its default, and compares a factory's results only for empty list, dict and set types;
    a factory of our own therefore keeps the field. Only immutable values, and dicts that nobody writes to.
    """
    return msgspec.field(default_factory=lambda: value)


def wire(**exceptions: str) -> Callable[[str], str]:
    """A renamer for a Struct: snake_case becomes PascalCase, `exceptions` name what Docker spells otherwise."""

    def rename(name: str) -> str:
        return exceptions.get(name) or "".join(part.capitalize() for part in name.split("_"))

    return rename


class Document(msgspec.Struct, frozen=True, omit_defaults=True, rename=wire()):
    """Base of all bodies: immutable, PascalCase on the wire, unknown members ignored."""


_ENCODER = msgspec.json.Encoder()


def encode(document: Any) -> bytes:  # noqa: ANN401 - msgspec encodes any Document and any list of them
    """`document` as Docker's JSON, without a newline."""
    return _ENCODER.encode(document)
