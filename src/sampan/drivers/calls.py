"""What a driver answers: the methods of the plugin protocol, each with its document's type and what makes the answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sampan.errors import InvalidParameter
from sampan.spec.decoding import Reader
from sampan.spec.document import Document, encode


class Nothing(Document, frozen=True):
    """`{}`: a document without members, asked or answered."""


class Refused(Document, frozen=True):
    """Why a call could not be done."""

    err: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One method. `answer` gets the document and returns one, or the pieces of a body that may have no end.

    What it raises is told to the daemon as the reason of a refusal.
    """

    of: type[Document]
    answer: Callable[[Any], Document | Iterator[bytes]]


Calls = Mapping[str, Call]
"""By method, e.g. `VolumeDriver.Mount`."""


class Book:
    """All that one process answers, Plugin.Activate among it."""

    def __init__(self, kinds: Mapping[str, Calls]) -> None:
        """`kinds`: what is implemented, by the protocol's names of kinds."""
        activate = Call(Nothing, lambda _: _Manifest(tuple(kinds)))
        calls = {"Plugin.Activate": activate, **{name: call for each in kinds.values() for name, call in each.items()}}
        self._calls = {name: (Reader(call.of), call.answer) for name, call in calls.items()}

    def answer(self, method: str, body: bytes) -> tuple[int, bytes | Iterator[bytes]]:
        """Status and body of the answer. Any thread may call; whatever a driver raises becomes a refusal."""
        found = self._calls.get(method)
        if found is None:
            return 404, encode(Refused(f"{method[:200]!r} is no method of this driver"))
        reader, function = found
        try:
            document = reader.read(body.strip() or b"{}")
        except InvalidParameter as error:
            return 400, encode(Refused(str(error)))
        try:
            answer = function(document)
            return 200, encode(answer) if isinstance(answer, Document) else answer
        except Exception as error:  # noqa: BLE001 - whatever another's code raises is its answer, and no fault of the process
            return 500, encode(Refused((str(error) or type(error).__name__).encode(errors="replace").decode()))


class _Manifest(Document, frozen=True):
    implements: tuple[str, ...]
