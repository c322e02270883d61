"""Builds against a daemon under test: a context from a mapping, the answer's lines read."""

import base64
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.daemons import Daemon, Sampan


@dataclass(frozen=True)
class Built:
    """What a build answered."""

    status: int
    lines: list[dict[str, object]]

    @property
    def text(self) -> str:
        return "".join(str(line["stream"]) for line in self.lines if "stream" in line)

    @property
    def error(self) -> str:
        """The fault told in the stream, or in the answer where it has a status of its own."""
        return str(next((line["error"] for line in self.lines if "error" in line), self.lines[-1].get("message", "")))

    @property
    def image(self) -> str:
        found = [aux for line in self.lines if isinstance(aux := line.get("aux"), dict)]
        assert found, self.lines[-3:]
        return str(found[-1]["ID"])


def context(files: Mapping[str, str | bytes]) -> bytes:
    """A tar of these files; a name with a slash at its end is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode, entry.mtime = 0o644, 1_000_000_000
            data = content.encode() if isinstance(content, str) else content
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def build(
    engine: Daemon,
    dockerfile: str,
    files: Mapping[str, str | bytes] | None = None,
    headers: dict[str, str] | None = None,
    **query: object,
) -> Built:
    """`POST /build`. Members of the query that are no text go as JSON; a tuple is given several times."""
    fields = [
        (name, one if isinstance(one, str) else json.dumps(one))
        for name, value in query.items()
        for one in (value if isinstance(value, tuple) else (value,))
    ]
    body = context({"Dockerfile": dockerfile, **(files or {})})
    answer = engine.api("POST", f"/build?{urlencode(fields)}", body, timeout=120, headers=headers)
    return Built(answer.status, [json.loads(line) for line in answer.body.splitlines() if line.strip()])


def told(built: Built) -> list[dict[str, object]]:
    """The events of `progress=json`."""
    found = [aux for line in built.lines if line.get("id") == "sampan.build" and isinstance(aux := line["aux"], dict)]
    assert not built.error, built.lines[-1]
    return found


def output(built: Built, number: int = 0) -> bytes:
    pieces = [event for event in told(built) if event.get("type") == "output" and event["output"] == number]
    assert pieces[-1].get("last") is True
    return b"".join(base64.b64decode(str(piece.get("data", ""))) for piece in pieces)


def members(archive: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            found[member.name] = data.read() if data is not None else b""
    return found


def half_made(engine: Sampan) -> list[str]:
    """What builds that have ended must not leave below the daemon's roots."""
    layers = engine.data_root / "layers" / "overlay"
    found = [str(path) for path in layers.iterdir() if path.name.startswith("tmp-")]
    known = {os.readlink(link).split("/")[1] for link in (layers / "l").iterdir()}
    found += [name for name in known if not (layers / name).exists()]
    for place in (engine.data_root / "builds", engine.exec_root / "build", engine.data_root / "content" / "ingest"):
        found += [str(path) for path in place.iterdir()] if place.is_dir() else []
    mounts = Path("/proc/self/mountinfo").read_text()
    return found + [line for line in mounts.splitlines() if f"{engine.exec_root}/build" in line]
