"""--security-opt: profiles are read here, because the daemon may not see this machine's files."""

from __future__ import annotations

from sampan.client import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document, Json

MAX_PROFILE = 4 * 1024 * 1024


def security_options(given: list[str]) -> Document:
    """The fields of HostConfig: SecurityOpt with profiles put in, MaskedPaths and ReadonlyPaths for systempaths."""
    found: Document = {}
    options: list[Json] = []
    for text in given:
        if text == "systempaths=unconfined":
            found["MaskedPaths"] = []
            found["ReadonlyPaths"] = []
            continue
        key, separator, value = text.partition("=")
        if not separator and key != "no-new-privileges":
            key, separator, value = text.partition(":")
        if (not separator or not value) and key != "no-new-privileges":
            raise ValueError(f'invalid --security-opt: "{text}"')
        if key == "seccomp" and value not in ("default", "builtin", "unconfined"):
            text = "seccomp=" + _profile(value)
        options.append(text)
    if options:
        found["SecurityOpt"] = options
    return found


def _profile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_PROFILE)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ValueError(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from error
    try:
        return documents.write(documents.parse(data))
    except documents.MalformedDocument as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from error
