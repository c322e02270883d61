"""Messages between daemon, launcher, monitor and init: one packet each, with descriptors and a JSON body.

    daemon                launcher              monitor                init
      │ ── HELLO ──────────▶│                      │                     │
      │ ◀── HELLO ──────────│  (protocol, features, listening sockets kept for us)
      │ ── KEEP + sockets ─▶│
      │ ── START + fds ────▶│ ── fork ────────────▶│                     │
      │ ◀── FORKED + pidfd ─│                      │ ── clone3 ─────────▶│ makes its world
      │                     │                      │ ── USERS + /dev ───▶│ (only in a user namespace: its maps are written)
      │                     │                      │ ── SETUP ──────────▶│ the plan; its interface gets an address
      │                     │  mounts the overlay, │ ── ROOT + fds ─────▶│ pivot, mounts, masks
      │                     │  writes record.json  │ ◀── READY + pty ────│ (only with a terminal, or to explain)
      │                     │                      │ ── GO ─────────────▶│ control groups, credentials, seccomp, exec
      │                     │                      │ ◀── end of file ────│ (exec closed the socket)
      │ ◀── STARTED + pidfd ───────────────────────│                     the user's program
      │ ── ATTACH, RESIZE, CLEAR_LOG ─────────────▶│
      │ ◀── DETACHED ──────────────────────────────│ a client typed the detach keys
      │ ◀── EXITED ────────────────────────────────│ writes the exit into record.json first

EXEC is shorter: the monitor clones a process that has the whole plan already, hears READY {inside: pid} once a copy of it stands
in the container's pid namespace, writes the record and answers GO.

FOLLOW goes to the launcher too and is answered in the same way, but what it forks is no monitor: a follower, which has a
client's connection and sends it the log of a run, and which no further message concerns.

RESTORE is START with a checkpoint: its builder becomes a restorer, which has criu do what init does here (`restorer.py`).

START_BY and EXEC_BY are START and EXEC with another OCI runtime, which does what the builder and init do here (`oci_driver.py`).

RELINK has the launcher fork a process that changes the network of a running container and answers READY or FAILED over the
channel that came with it. NET has it fork sampan-net, to which the daemon then speaks by its socket in the exec-root; the ladder
is drawn in `resolver.py`.

A failure on any rung travels down as FAILED {fault, errno, message} in place of the awaited message. PARK makes a monitor
wait, world and all, for the START that comes over its own channel; PARK_EXEC one, of no container, for an EXEC.

The socket is SOCK_SEQPACKET. A packet of more than about 200 KB is EMSGSIZE, so a body above `INLINE_LIMIT` rides in a
sealed memory file of at most `BODY_LIMIT` bytes, whose seals are checked before it is read. The protocol only grows:
a receiver ignores members it does not know, and a daemon speaks to the monitors of every release before it.

Loaded by the launcher.
"""

from __future__ import annotations

import enum
import json
import os
import socket
import struct

from sampan.kernel.files import ALL_SEALS, get_seals, sealed_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 1
NET_SOCKET = "net.sock"
"""Where sampan-net listens, in the exec-root."""
LAUNCHER_SOCKET = "launcher.sock"
"""In the exec-root: where a launcher without a daemon is found by the next one."""
DAEMON_DESCRIPTOR = 3
HOST_LAYER_DESCRIPTOR = 4
"""Of the launcher, as it is executed."""
INLINE_LIMIT = 64 * 1024
BODY_LIMIT = 16 * 1024 * 1024
DESCRIPTOR_LIMIT = 240
"""The kernel passes at most 253 descriptors with one packet (SCM_MAX_FD)."""

BEHIND = "behind"
"""The REPLY to an ATTACH whose `after` (the place up to which the client has been sent the log) is too far back."""

_MAGIC = 0x53504E31
_HEADER = struct.Struct("=IHHII")  # magic, kind, flags, request, body length
_IN_FILE = 1
_ROOM = _HEADER.size + INLINE_LIMIT
_DESCRIPTOR_ROOM = socket.CMSG_LEN((DESCRIPTOR_LIMIT + 1) * 4)


class Kind(enum.IntEnum):
    """What a packet says. Numbers are never used again for something else."""

    HELLO = 1
    KEEP = 2
    START = 3
    EXEC = 4
    PARK = 5
    FORKED = 6
    PARK_EXEC = 8
    FOLLOW = 7
    RELINK = 9
    NET = 10
    RESTORE = 11
    START_BY = 12
    EXEC_BY = 13
    SETUP = 16
    READY = 17
    GO = 18
    FAILED = 19
    STARTED = 20
    ROOT = 22
    LIVE = 23
    EXITED = 21
    DETACHED = 24
    USERS = 25
    ATTACH = 32
    RESIZE = 33
    REPLY = 34
    CLEAR_LOG = 35
    KNOW = 40
    FORGET = 41
    SERVE = 42
    SERVING = 43
    HOST_SERVERS = 44
    PROXY = 45


class ProtocolError(Exception):
    """The other side sent what the protocol does not allow; the channel is of no use any more."""


MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What reading a body's members raises where they are not those that the protocol has."""


class Message:
    """One packet as received. The receiver owns `descriptors` and closes each that it does not pass on."""

    __slots__ = ("_body", "_text", "descriptors", "kind", "request")

    def __init__(self, kind: Kind, request: int, text: bytes, descriptors: list[int]) -> None:
        self.kind = kind
        self.request = request
        self.descriptors = descriptors
        self._text = text
        self._body: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The body, parsed when it is first wanted: a process that passes a packet on does not. Raises ProtocolError."""
        if self._body is None:
            try:
                parsed = json.loads(self._text) if self._text else {}
            except (ValueError, RecursionError) as error:
                raise ProtocolError(f"body is no JSON: {error}") from error
            if not isinstance(parsed, dict):
                raise ProtocolError("body is no JSON object")
            self._body = parsed
        return self._body

    def close(self) -> None:
        """Close every descriptor that came along."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


def send(
    channel: socket.socket,
    kind: Kind,
    body: dict[str, Any] | None = None,
    descriptors: list[int] | None = None,
    request: int = 0,
) -> None:
    """Send one packet. The descriptors stay open here. Raises OSError where the other side is gone or `body` too large."""
    text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    send_encoded(channel, kind, text, descriptors or [], request)


def send_encoded(channel: socket.socket, kind: Kind, body: bytes, descriptors: list[int], request: int = 0) -> None:
    """`send` for a body that is JSON already."""
    if len(body) > BODY_LIMIT or len(descriptors) > DESCRIPTOR_LIMIT:
        raise ProtocolError(f"{kind.name}: {len(body)} bytes and {len(descriptors)} descriptors are too much")
    if len(body) <= INLINE_LIMIT:
        packet = _HEADER.pack(_MAGIC, kind, 0, request, len(body)) + body
        _send(channel, packet, descriptors)
        return
    carrier = sealed_file("sampan-message", body)
    try:
        _send(channel, _HEADER.pack(_MAGIC, kind, _IN_FILE, request, len(body)), [carrier, *descriptors])
    finally:
        os.close(carrier)


def _send(channel: socket.socket, packet: bytes, descriptors: list[int]) -> None:
    if descriptors:
        socket.send_fds(channel, [packet], descriptors)
    else:
        channel.send(packet)


def receive(channel: socket.socket, flags: int = 0) -> Message | None:
    """The next packet; None at the end of file. Raises ProtocolError for anything malformed, BlockingIOError where none waits.

    `socket.recv_fds` is not used: it does not pass its flags on (CPython 3.11), and without MSG_CMSG_CLOEXEC descriptors
    arrive inheritable, PEP 446 notwithstanding.
    """
    flags |= socket.MSG_CMSG_CLOEXEC
    try:
        packet, ancillary, state, _ = channel.recvmsg(_ROOM, _DESCRIPTOR_ROOM, flags)
    except ConnectionResetError:
        # The other side ended with something of ours unread. That is said once, ahead of what it still sent.
        packet, ancillary, state, _ = channel.recvmsg(_ROOM, _DESCRIPTOR_ROOM, flags)
    descriptors = [
        number
        for level, kind, data in ancillary
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS
        for (number,) in struct.iter_unpack("i", data[: len(data) // 4 * 4])
    ]
    if not packet and not descriptors:
        return None
    try:
        if state & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise ProtocolError("truncated packet")
        return _parse(packet, descriptors)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def receive_whole(channel: socket.socket) -> Message | None:
    """`receive`, and the body is parsed: of what is malformed no descriptor stays."""
    message = receive(channel)
    try:
        if message is not None:
            _ = message.body
    except ProtocolError:
        if message is not None:
            message.close()
        raise
    return message


def _parse(packet: bytes, descriptors: list[int]) -> Message:
    if len(packet) < _HEADER.size:
        raise ProtocolError(f"packet of {len(packet)} bytes")
    magic, number, flags, request, length = _HEADER.unpack_from(packet)
    if magic != _MAGIC or length > BODY_LIMIT:
        raise ProtocolError(f"packet with magic {magic:#x} and length {length}")
    try:
        kind = Kind(number)
    except ValueError as error:
        raise ProtocolError(f"packet of kind {number}") from error
    if flags & _IN_FILE:
        if not descriptors:
            raise ProtocolError("packet without the file that carries its body")
        text = _read_sealed(descriptors[0], length)
        os.close(descriptors.pop(0))
    else:
        text = packet[_HEADER.size :]
        if len(text) != length:
            raise ProtocolError(f"body of {len(text)} bytes where {length} were announced")
    return Message(kind, request, text, descriptors)


def _read_sealed(descriptor: int, length: int) -> bytes:
    try:
        seals = get_seals(descriptor)
    except OSError as error:
        raise ProtocolError(f"body in what is no memory file: {error}") from error
    if seals != ALL_SEALS:
        raise ProtocolError("body in a file that can still change")
    if os.fstat(descriptor).st_size != length:
        raise ProtocolError("body of another length than announced")
    return os.pread(descriptor, length, 0)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends for this protocol, both close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
