"""`sampand`, and a line in a file for each answer before it is sent: `recorder.py FILE FLAGS…`.

Nothing else about the daemon changes, so that whoever asks (the docker command, docker-py, a raw socket, TLS) is recorded.
A line is JSON: method, route, version, status, content type, body (None where it is no text, cut at `LIMIT`), and whether it
grew, which makes it a sequence of documents.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from sampan import daemon_main
from sampan.api.application import Application
from sampan.api.request import Request
from sampan.api.responses import Answer, Handover, Stream
from sampan.api.routing import Router
from sampan.api.table import ROUTES
from sampan.api.versions import split_version

LIMIT = 256 * 1024
"""Bytes of one body that are kept."""

_Answering = Callable[[Application, Request], Coroutine[Any, Any, Answer]]
_Line = Mapping[str, object]


class _Recorder:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._router = Router(ROUTES)

    def around(self, answering: _Answering) -> _Answering:
        async def recorded(application: Application, request: Request) -> Answer:
            answer = await answering(application, request)
            number, path = split_version(request.path)
            found = self._router.find(request.method, unquote(path, errors="surrogateescape"))
            about = {"method": request.method, "route": found[0].path if found else "", "version": number}
            if isinstance(answer, Stream):
                return replace(answer, chunks=_Overheard(answer, about, self.note))
            if isinstance(answer, Handover):
                status = 101 if request.upgrade else 200
                self.note({**about, "status": status, "type": answer.content_type, "body": None})
            else:
                self.note(
                    {**about, "status": answer.status, "type": answer.content_type, "body": _text(answer.body[:LIMIT])}
                )
            return answer

        return recorded

    def note(self, line: _Line) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


class _Overheard:
    """A stream's chunks, noted together when the stream ends."""

    def __init__(self, stream: Stream, about: _Line, note: Callable[[_Line], None]) -> None:
        self._chunks = stream.chunks
        self._about = {**about, "status": stream.status, "type": stream.content_type, "grew": True}
        self._note = note
        self._heard = bytearray()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        if len(self._heard) < LIMIT:
            self._heard += chunk
        return chunk

    async def aclose(self) -> None:
        self._note({**self._about, "body": _text(bytes(self._heard[:LIMIT]))})
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def main() -> None:
    """As `sampand` is started, with the file's path in front of its flags."""
    recorder = _Recorder(sys.argv.pop(1))
    Application.answer = recorder.around(Application.answer)  # type: ignore[method-assign, assignment]
    daemon_main.main()


if __name__ == "__main__":
    main()
