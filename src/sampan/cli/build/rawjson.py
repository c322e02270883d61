"""A build as BuildKit's status messages, one JSON object a line: what programs read that know `docker build --progress=rawjson`.

The members are those of BuildKit's SolveStatus: vertexes, statuses, logs, warnings. A digest here is a number in a digest's form.
"""

from __future__ import annotations

import time

from sampan.client import documents
from sampan.client.documents import number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from sampan.cli.build.board import Amount, Row
    from sampan.client.documents import Document, Json


class RawJson:
    """Writes to `file`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def changed(self, row: Row) -> None:
        """A vertex."""
        vertex: Document = {"digest": _digest(row.number), "name": row.name}
        if row.inputs:
            vertex["inputs"] = [_digest(number) for number in row.inputs]
        vertex["started"] = _moment(row.started)
        if row.completed:
            vertex["completed"] = _moment(row.completed)
        if row.cached:
            vertex["cached"] = True
        if row.error:
            vertex["error"] = row.error
        self._write("vertexes", vertex)

    def logged(self, row: Row, lines: list[tuple[float, str]]) -> None:
        """Output, whole lines."""
        for at, text in lines:
            data = _base64(f"{text}\n")
            moment = _moment(row.started + at)
            self._write("logs", {"vertex": _digest(row.number), "stream": 1, "data": data, "timestamp": moment})

    def advanced(self, row: Row, part: str, amount: Amount) -> None:
        """A status."""
        status: Document = {
            "id": part,
            "vertex": _digest(row.number),
            "total": amount.total,
            "current": amount.current,
            "timestamp": _moment(time.time()),
            "started": _moment(row.started),
        }
        if amount.took >= 0:
            status["completed"] = _moment(row.started + amount.took)
        self._write("statuses", status)

    def warned(self, warning: Document) -> None:
        """A finding of the checks."""
        line, end = number_of(warning, "line"), number_of(warning, "end")
        self._write(
            "warnings",
            {
                "vertex": _digest(number_of(warning, "vertex")),
                "level": 1,
                "short": _base64(f"{text_of(warning, 'rule')}: {text_of(warning, 'message')} (line {line})"),
                "url": text_of(warning, "url"),
                "range": [{"start": {"line": line}, "end": {"line": end}}],
            },
        )

    def close(self, failed: bool) -> None:  # noqa: ARG002 - the protocol's
        """Let go of what is held."""
        self._file.flush()

    def _write(self, member: str, value: Json) -> None:
        self._file.write(documents.write({member: [value]}) + "\n")
        self._file.flush()


def _digest(number: int) -> str:
    return f"sha256:{number % 2**256:064x}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f"{seconds % 1:.6f}"[1:] + "Z"


def _base64(text: str) -> str:
    from binascii import b2a_base64

    return str(b2a_base64(text.encode("utf-8", "replace"), newline=False), "ascii")
