"""Netlink sockets and attributes (netlink(7)): what rtnetlink, nf_tables and conntrack have in common.

A message is `(kind, flags, body, text)`: the body begins with the family's own header, and the text names call and
operands for the error that the kernel may answer with. Several messages go out in one system call; the kernel works
through them in order and goes on after a failed one, so the first error is raised once all have been answered.

Loaded by the launcher: standard library only, and little of it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Message = tuple[int, int, bytes, str]
    """Kind, NLM_F_* flags, body, and what to call it in an error."""
    Answer = tuple[int, bytes]
    """Kind and body (header of the family included) of a message from the kernel."""

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11

# The kernel fills packets of a dump up to 32 KiB; an answer to one request is far smaller (NLMSG_GOODSIZE).
_ROOM = 65536
# The kernel answers a request before sendmsg returns, except while another holds a lock (rtnl, the commit mutex).
_ANSWER_SECONDS = 10
# A packet goes whole or not at all (EMSGSIZE above net.core.wmem_default, 208 KiB); privilege lifts that.
_SEND_ROOM = 96 * 1024
_SO_SNDBUFFORCE = 32
_DUMP_TRIES = 16
_DUMP_LIMIT = 1 << 20

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR_CODE = struct.Struct("=i")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes. Raises struct.error for a value of more than 64 KiB."""
    size = len(value)
    return _ATTRIBUTE.pack(size + 4, kind) + value + _PADDING[size & 3]


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """An attribute with a string and its NUL."""
    return attribute(kind, os.fsencode(value) + b"\0")


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, value.to_bytes(1, "little"))


def u16(kind: int, value: int) -> bytes:
    """An attribute with 16 bits in the machine's order (rtnetlink)."""
    return attribute(kind, struct.pack("=H", value))


_U32 = struct.Struct("=HHI")
_BE32 = struct.Struct("=HH4s")


def u32(kind: int, value: int) -> bytes:
    """An attribute with 32 bits in the machine's order (rtnetlink)."""
    return _U32.pack(8, kind, value)


def be32(kind: int, value: int) -> bytes:
    """An attribute with 32 bits in network order (netfilter)."""
    return _BE32.pack(8, kind, value.to_bytes(4, "big"))


def be64(kind: int, value: int) -> bytes:
    """An attribute with 64 bits in network order (netfilter)."""
    return attribute(kind, value.to_bytes(8, "big"))


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data` from `offset` on, in order, flags taken off their kinds. A cut one ends the walk."""
    end = len(data)
    while offset + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < 4 or offset + size > end:
            return
        yield kind & _NLA_TYPE_MASK, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def table(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes by kind; of equal ones the last."""
    return dict(attributes(data, offset))


def as_text(value: bytes) -> str:
    """A string attribute without its NUL."""
    return os.fsdecode(value.split(b"\0", 1)[0])


class Netlink:
    """A netlink socket: close-on-exec, bounded waits, sequence numbers checked, answers from the kernel only.

    It belongs to the network namespace it was made in, whatever its process joins later. Not for two threads at once.
    Every method raises OSError with the kernel's errno, what was asked, and the kernel's own explanation.
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        try:
            option = self._socket.setsockopt
            option(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            option(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            option(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_SECONDS, 0))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Netlink:  # noqa: PYI034 - Self is in typing, which the launcher does not load
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; again is allowed."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    def join(self, group: int) -> None:
        """Hear the events of a multicast group from now on; only for a socket that asks nothing."""
        # With a port of its own: nf_tables tells of changes as if port 0 did, and nobody hears himself (do_one_broadcast).
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        self._socket.setblocking(False)

    def drain(self) -> bool:
        """Throw away the events that have arrived, at most some hundred; whether there were any (or some were lost)."""
        heard = False
        for _ in range(256):
            try:
                self._socket.recv(4096)
            except BlockingIOError:
                return heard
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            heard = True
        return heard

    def request(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """One message that the kernel only acknowledges."""
        self.request_all(((kind, flags, body, what),))

    def request_all(self, messages: Iterable[Message]) -> None:
        """Messages in one packet, in order. The last is acknowledged, the others speak up only when they fail."""
        asked = list(messages)
        first = self._send(asked, len(asked) - 1)
        self._settle(asked, first, first + len(asked) - 1)

    def transact(self, begin: Message, messages: Iterable[Message], end: Message) -> None:
        """A netfilter batch: all or nothing. The kernel reads to the end whatever fails; the first error is raised."""
        asked = [begin, *messages, end]
        first = self._send(asked, len(asked) - 2)
        # What is refused as a whole (EPERM, no memory, a clash while committing) is answered to its first message.
        self._settle(asked, first, first + len(asked) - 2, whole=first)

    def _settle(self, asked: list[Message], first: int, last: int, whole: int = -1) -> None:
        """Read until the message `last` is answered, or `whole` has failed; raise the first error."""
        failure: OSError | None = None
        while True:
            for kind, _, sequence, body in self._receive():
                if kind != _NLMSG_ERROR or not first <= sequence < first + len(asked):
                    continue
                failure = failure or _failure(body, asked[sequence - first][3])
                if sequence in (last, whole):
                    if failure:
                        raise failure
                    return

    def get(self, kind: int, body: bytes, what: str, flags: int = 0) -> Answer:
        """One message that the kernel answers with one."""
        first = self._send([(kind, flags, body, what)])
        while True:
            for answered, _, sequence, answer in self._receive():
                if sequence != first:
                    continue
                if answered == _NLMSG_ERROR:
                    raise _failure(answer, what) or OSError(errno.EPROTO, f"{what}: acknowledged without an answer")
                return answered, answer

    def dump(self, kind: int, body: bytes, what: str) -> list[Answer]:
        """All objects of a kind; asked for again when they changed in the middle of it (EAGAIN after some tries)."""
        for _ in range(_DUMP_TRIES):
            answers: list[Answer] = []
            if self.visit(kind, body, what, lambda answered, answer: answers.append((answered, answer))):  # noqa: B023
                return answers
        raise OSError(errno.EAGAIN, f"{what}: changed while it was read, {_DUMP_TRIES} times")

    def visit(self, kind: int, body: bytes, what: str, call: Callable[[int, bytes], None]) -> bool:
        """Like `dump`, object by object; the result says whether nothing changed meanwhile."""
        first = self._send([(kind, NLM_F_DUMP, body, what)])
        consistent = True
        left = _DUMP_LIMIT
        while True:
            for answered, flags, sequence, answer in self._receive():
                if sequence != first:
                    continue
                if flags & NLM_F_DUMP_INTR:
                    consistent = False
                if answered in (_NLMSG_DONE, _NLMSG_ERROR):
                    failure = _failure(answer, what)
                    if failure:
                        raise failure
                    return consistent
                left -= 1
                if left == 0:
                    raise OSError(errno.EMSGSIZE, f"{what}: more than {_DUMP_LIMIT} objects")
                call(answered, answer)

    def _send(self, messages: list[Message], acknowledged: int = -1) -> int:
        """Send all in one packet, asking for an answer to the one at `acknowledged`; the first sequence number."""
        first = self._sequence + 1
        parts = []
        for number, (kind, flags, body, _) in enumerate(messages):
            flags |= NLM_F_REQUEST | NLM_F_ACK if number == acknowledged else NLM_F_REQUEST
            parts.append(_HEADER.pack(len(body) + 16, kind, flags, first + number, 0))
            parts.append(body)  # always a multiple of four: headers and attributes are
        self._sequence = (first + len(messages)) & 0x3FFFFFFF
        packet = b"".join(parts)
        if len(packet) > _SEND_ROOM:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(packet))
        self._socket.sendall(packet)
        return first

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(kind, flags, sequence, body) of each message in the next packet."""
        try:
            data, _, flags, sender = self._socket.recvmsg(_ROOM)
        except BlockingIOError:
            raise TimeoutError(errno.ETIMEDOUT, f"netlink: no answer within {_ANSWER_SECONDS} seconds") from None
        if flags & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, "netlink: answer larger than the kernel's own limit")
        if sender[0] != 0:
            return
        offset, end = 0, len(data)
        while offset + 16 <= end:
            size, kind, message_flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if size < 16 or offset + size > end:
                raise OSError(errno.EBADMSG, "netlink: cut message")
            yield kind, message_flags, sequence, data[offset + 16 : offset + size]
            offset += (size + 3) & ~3


def _failure(body: bytes, what: str) -> OSError | None:
    """The error in an NLMSG_ERROR or NLMSG_DONE, with the kernel's explanation where it gave one; None for success."""
    number = -_ERROR_CODE.unpack_from(body)[0] if len(body) >= 4 else 0
    if number == 0:
        return None
    # struct nlmsgerr: the code and the header of the message at fault; NETLINK_CAP_ACK keeps its body out.
    explained = as_text(table(body, 20).get(_NLMSGERR_ATTR_MSG, b"")) if len(body) > 20 else ""
    return OSError(number, f"{what}: {os.strerror(number)}" + (f" ({explained})" if explained else ""))
