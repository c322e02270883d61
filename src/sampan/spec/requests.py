"""Arguments of the daemon's use-cases as the API hands them over: parsed, typed, free of HTTP.

Names of containers, images and networks come as the client wrote them; times are nanoseconds since the epoch.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Filters = Mapping[str, tuple[str, ...]]
"""`filters` of a request: for each key the values, any of which may match. Unknown keys are the use-case's to refuse."""


@dataclass(frozen=True, slots=True)
class Hijacked:
    """A client's connection that is no longer HTTP: the response's head is written, the daemon reads and writes no more.

    `sock` belongs to the receiver, who closes it; it is non-blocking. `pending` is what the client had sent behind its
    request: input that comes before anything read from `sock`. `upgraded` tells whether the client asked for an upgrade
    (101) or takes a bare 200.
    """

    sock: socket.socket
    pending: bytes = b""
    upgraded: bool = True


class Taker(Protocol):
    """Who goes on with a connection."""

    async def take(self, connection: Hijacked) -> None:
        """Go on with it, and close it in any case. The connection may live much longer than the call."""
        ...


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """`logs` replays what was written before; `stream` goes on with what comes; without it the streams are not followed."""

    stream: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    detach_keys: str | None = None
    """In the client's notation (`ctrl-p,ctrl-q`); None for the default."""
    multiplexed: bool = True
    """Output says which stream it is, where there is no terminal. A websocket's does not."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which log lines to send. `tail` None is all of them; `since` and `until` in nanoseconds, None for no bound."""

    stdout: bool = False
    stderr: bool = False
    follow: bool = False
    since: int | None = None
    until: int | None = None
    timestamps: bool = False
    details: bool = False
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class StartOptions:
    """`explain` keeps the steps of the start to be asked for; `checkpoint` is the name of one to start from."""

    explain: bool = False
    checkpoint: str = ""
    checkpoint_dir: str = ""


class WaitCondition(StrEnum):
    """What `wait` waits for."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class ContainerListOptions:
    """`limit` above 0 gives the latest containers, running or not; `size` asks for SizeRw and SizeRootFs."""

    all: bool = False
    limit: int = -1
    size: bool = False
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoveOptions:
    """`force` kills first; `volumes` removes anonymous volumes too; `link` removes only the link of that name."""

    force: bool = False
    volumes: bool = False
    link: bool = False


@dataclass(frozen=True, slots=True)
class EventOptions:
    """`since` replays from then on; `until` ends the stream at that time; None for no bound."""

    since: int | None = None
    until: int | None = None
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildMountOptions:
    """A cache mount by what a RUN says of it: its id, or its target where it has none; mode, uid and gid where it gives them."""

    id: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class BuildPruneOptions:
    """Sizes in bytes, 0 for no limit. `all`: what images share, too."""

    all: bool = False
    reserved_space: int = 0
    max_used_space: int = 0
    min_free_space: int = 0
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageListOptions:
    """`all` includes intermediate images; `shared_size`, `digests`, `manifests` ask for costlier members."""

    all: bool = False
    shared_size: bool = False
    digests: bool = False
    manifests: bool = False
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`repository` and `tag` name the new image (both may be empty); `changes` are Dockerfile instructions."""

    repository: str = ""
    tag: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True, slots=True)
class PullOptions:
    """`tag` may be a digest; "" with a name that has neither is all tags. `credentials` is the header as it came."""

    name: str
    tag: str = ""
    platform: str = ""
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """`tag` "" with a name that has none is all tags. `credentials` is the header as it came."""

    name: str
    tag: str = ""
    platform: str = ""
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class ExtractOptions:
    """`path` is the directory to unpack into. `keep_kinds`: no directory takes the place of something else, nor the reverse.

    `copy_ids` gives everything to the container's own user, where it has one (Docker's `copyUIDGID`).
    """

    path: str
    keep_kinds: bool = False
    copy_ids: bool = False


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """`pause` freezes the container meanwhile; `changes` are Dockerfile instructions; the names may be empty."""

    container: str
    repository: str = ""
    tag: str = ""
    author: str = ""
    comment: str = ""
    pause: bool = True
    changes: tuple[str, ...] = ()
