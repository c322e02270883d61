"""Parsers of what comes over connections: HTTP and websockets, DNS, BuildKit, our own messages; and the command's side."""

import atexit
import contextlib
import functools
import socket
import struct
from typing import Any, cast

import msgspec
from google.protobuf.message import DecodeError

from sampan.api.reader import Malformed, RequestReader
from sampan.api.websocket import BINARY, Inbound
from sampan.api.websocket import handshake as answer_handshake
from sampan.buildkit import attributes as build_attributes
from sampan.buildkit.definitions import origin_of
from sampan.buildkit.protocol import control_pb2, files_pb2, gateway_pb2, operations_pb2
from sampan.buildkit.synced import entry_of
from sampan.client.documents import parse
from sampan.client.http import read_response
from sampan.client.streams import Demultiplexer
from sampan.client.wire import Wire
from sampan.errors import SampanError
from sampan.network import dns
from sampan.runtime.messages import pair, receive


def _requests(pieces: list[bytes]) -> list[object]:
    """What a reader makes of bytes: heads and bodies, and why it ended."""
    reader, found = RequestReader(), list[object]()
    body: bytearray | None = None
    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if body is None:
                    head = reader.head()
                    if head is None:
                        break
                    found += [head.method, head.target, head.headers, head.has_body]
                    body = bytearray()
                part = reader.chunk()
                if part is None:
                    break
                body += part
                if not part:
                    found.append(bytes(body))
                    body = None
    except Malformed as error:
        found.append(error.status)
    return found


def http(case: bytes) -> None:
    """Wherever the network cuts a stream of requests, it is read the same."""
    whole = _requests([case])
    cut = len(case) * 2 // 3
    assert _requests([case[:cut], case[cut:]]) == whole


def websocket(case: bytes) -> None:
    """The same for frames; and the reader keeps no more than a frame's begin."""
    whole, parts = Inbound(), Inbound()
    cut = len(case) // 2
    said = whole.feed(case)
    assert parts.feed(case[:cut]) + parts.feed(case[cut:]) == said
    assert parts.replies == whole.replies


def handshake(case: bytes) -> None:
    """Header lines as the HTTP reader hands them over."""
    lines = (line.partition(b":") for line in case.split(b"\r\n"))
    answer_handshake({name.lower(): value.strip() for name, _, value in lines}, BINARY)


def buildkit(case: bytes) -> None:
    """Messages of BuildKit's protocol, and a file's description as the client's own names it."""
    with contextlib.suppress(SampanError, DecodeError):
        origin_of(operations_pb2.Definition.FromString(case))
    for kind in (control_pb2.SolveRequest, gateway_pb2.SolveRequest, files_pb2.Packet):
        message = kind()
        with contextlib.suppress(DecodeError):
            message.ParseFromString(case)
    packet = files_pb2.Packet()
    with contextlib.suppress(DecodeError):
        packet.ParseFromString(case)
        entry_of(packet.stat)


def attributes(case: bytes) -> None:
    """A build's attributes, as a JSON object of words."""
    try:
        given = msgspec.json.decode(case, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    build_attributes.read(given)


def dns_query(case: bytes) -> None:
    """A container's question, with every answer that may be made to it."""
    try:
        question = dns.parse_query(case)
    except dns.BadMessage as error:
        refused = dns.refusal(case, error.code)
    else:
        refused = _answered(case, question)
    assert len(refused) in (0, 12)


def _answered(case: bytes, question: dns.Question) -> bytes:
    dns.reverse_address(question.name)
    answer = dns.answer(case, question, [(1, bytes(4))] * 40, 600)
    assert len(dns.fitted(answer, question)) <= max(question.size, 512)
    assert dns.belongs_to(answer, case, question.end)
    dns.lifetime(answer, question.end)
    return b""


_QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"


def dns_answer(case: bytes) -> None:
    """An upstream's answer, which may be anything."""
    response = _QUERY[:2] + case
    if dns.belongs_to(response, _QUERY, len(_QUERY)):
        dns.is_truncated(response)
        held = dns.lifetime(response, len(_QUERY))
        assert len(dns.aged(response, held, 7)) == len(response)


@functools.cache
def _channel() -> tuple[socket.socket, socket.socket]:
    """Of the whole run; given back at its end."""
    ends = pair()
    for end in ends:
        atexit.register(end.close)
    return ends


def messages(case: bytes) -> None:
    """A packet between launcher, monitors and daemon: the whole of it, or, by its first byte, a body behind a right head.

    With a descriptor where that byte is high.
    """
    ours, theirs = _channel()
    if case[:1] < b"\x30":
        case = struct.pack("=IHHII", 0x53504E31, 3, 0, 0, max(len(case) - 1, 0)) + case[1:]
    if case[:1] > b"\x80":
        with open("/dev/null", "rb") as null:
            socket.send_fds(ours, [case[1:] or b"x"], [null.fileno()])
    else:
        ours.send(case or b"x")
    message = receive(theirs)
    if message is not None:
        try:
            message.body  # noqa: B018 - read for its errors
        finally:
            message.close()


class _Pieces:
    """A daemon that says these bytes, 512 at a time, and hangs up."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int) -> bytes:
        piece, self._data = self._data[:512], self._data[512:]
        return piece


def answer(case: bytes) -> None:
    """What the command reads of a daemon: two answers on one connection."""
    wire = Wire(cast("Any", _Pieces(case)), tls=False)
    for _ in range(2):
        read_response(wire).read(1 << 20)


def frames(case: bytes) -> None:
    """The multiplexed stream, whole and in parts."""
    whole = b"".join(piece for _, piece in Demultiplexer().feed(case))
    parts = Demultiplexer()
    cut = len(case) // 2
    assert b"".join(piece for half in (case[:cut], case[cut:]) for _, piece in parts.feed(half)) == whole


def document(case: bytes) -> None:
    """JSON as the command reads it."""
    parse(case)
