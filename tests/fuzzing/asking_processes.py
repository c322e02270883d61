"""What the engine's processes say to each other: records, orders, reports; and what helpers that read hostile bytes report."""

import asyncio
import contextlib
import functools
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sampan.errors import SampanError
from sampan.logs.shipping import jobs
from sampan.logs.shipping.fluentd import Fluentd
from sampan.oci.containers import STATE, Container
from sampan.rootless import keeper
from sampan.runtime import adoption, checkpoint_plan, oci_call, record
from sampan.runtime.channel import Channel
from sampan.runtime.messages import Kind, Message, ProtocolError, send_encoded
from sampan.runtime.monitored import Monitored
from sampan.runtime.pump import Pump
from sampan.runtime.questioner import Questioner
from sampan.runtime.resolver import Resolver
from sampan.snapshots import jail
from sampan.spec.ids import ContainerId
from sampan.transfer import porter
from tests.fuzzing.asking_files import directory
from tests.fuzzing.asking_plugins import loop


def _message(case: bytes, kinds: tuple[Kind, ...], descriptors: int) -> Message:
    """A message of one of these kinds, by the first byte; the rest is its body. With as many descriptors of nothing."""
    kind = kinds[case[0] % len(kinds)] if case else kinds[0]
    return Message(kind, 0, case[1:], [os.eventfd(0) for _ in range(descriptors)])


def resolver(case: bytes) -> None:
    """Orders to sampan-net: whatever they say, it goes on, and knows what it knew of others."""
    served, message = _resolver(), _message(case, (Kind.KNOW, Kind.FORGET, Kind.HOST_SERVERS, Kind.PROXY), 3)
    served._take(cast("Any", None), message)
    assert message.descriptors == []
    for container in ("a", "b"):
        served._book.find(container, b"a")
        served._book.called(container, b"\x0a\0\0\1")
        served._book.servers(container)
    for known in list(served._book._known):
        served._book.forget(known)
    for known in list(served._proxies._served):
        served._proxies.forget(known)
    assert not served._book._networks


@functools.cache
def _resolver() -> Resolver:
    return Resolver(cast("Any", None))


def dns_stream(case: bytes) -> None:
    """What a container sends to sampan-net by TCP, in two pieces: it ends, and every answer that comes is one."""
    resolver, served, gone = _resolver(), cast("Any", SimpleNamespace(id="nobody")), list[bool]()
    ours, theirs = socket.socketpair()
    with ours:
        theirs.setblocking(False)
        client = Questioner(
            resolver._poller,
            theirs,
            lambda query, reply: resolver._answer(served, query, True, reply),
            lambda: gone.append(True),
        )
        cut = len(case) // 2
        for piece in filter(None, (case[:cut], case[cut:])):
            ours.sendall(piece)
            for _ in range(6):
                resolver._poller.turn(0)
            if gone:
                break
        client.close()
        assert gone == [True]
        answers = b""
        while piece := _rest(ours):
            answers += piece
    while answers:
        length = int.from_bytes(answers[:2], "big")
        assert 12 <= length <= len(answers) - 2
        answers = answers[2 + length :]


def _rest(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 16)
    except ConnectionResetError:
        return b""


def monitor_orders(case: bytes) -> None:
    """What a monitor is asked to do: it says why it did not, and lives."""
    ours, theirs = socket.socketpair()
    with ours:
        message = _message(case, (Kind.ATTACH, Kind.RESIZE, Kind.CLEAR_LOG, Kind.GO), 0)
        message.descriptors = [theirs.detach()]
        try:
            _ = message.body
        except ProtocolError:
            message.close()
            return
        pump = Pump(None, _terminal(), input_once=False)
        pump._answer(message)
        assert message.descriptors == []
        for client in pump._clients:
            client.close()


@functools.cache
def _terminal() -> int:
    return os.openpty()[0]


def monitor_words(case: bytes) -> None:
    """What a daemon hears of a monitor: taken, or the end of their talk."""
    asyncio.set_event_loop(loop())
    loop().run_until_complete(_heard(case))


async def _heard(case: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kinds = (Kind.STARTED, Kind.READY, Kind.FAILED, Kind.EXITED, Kind.DETACHED, Kind.REPLY)
    monitored = Monitored("c" * 64, ContainerId("c" * 64), "/nonexistent", {})
    ended: list[object] = []
    with theirs:
        monitored.listen(ours, lambda _, how: ended.append(how))
        send_encoded(theirs, kinds[case[0] % len(kinds)] if case else kinds[0], case[1:], [0] if len(case) % 2 else [])
    # The reading that the loop would do.
    channel = cast("Channel", monitored._channel)
    channel._readable()
    if monitored.started.done() and not monitored.started.cancelled():
        monitored.started.exception()
    if monitored.parked.done() and not monitored.parked.cancelled():
        monitored.parked.exception()
    monitored.let_go()
    assert len(ended) < 2


def records(case: bytes) -> None:
    """A run's record, and a runtime's state, log and notes, as a later process finds them: one of them, by the length."""
    place = _record_place()
    with open(f"{place}/{record.NAME}", "wb") as file:
        file.write(case)
    _FOUND[len(case) % len(_FOUND)](place)


def _run_record(place: str) -> None:
    with contextlib.suppress(record.NewerRecord):
        body = record.read(place)
        if body is not None:
            with contextlib.suppress(ValueError, TypeError, LookupError, OverflowError):
                adoption.parse_record(body)


def _notes(place: str) -> None:
    descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        with contextlib.suppress(checkpoint_plan.NotPossible):
            checkpoint_plan.read_notes(descriptor)
    finally:
        os.close(descriptor)


_FOUND: tuple[Callable[[str], object], ...] = (
    _run_record,
    _notes,
    lambda place: oci_call.read_failure(f"{place}/{oci_call.LOG}"),
    lambda place: Container(os.path.dirname(place), "record").load(),
)


@functools.cache
def _record_place() -> str:
    """One file under all the names that are looked for."""
    place = directory() / "record"
    place.mkdir()
    (place / record.NAME).touch()
    for name in (STATE, oci_call.LOG, checkpoint_plan.NOTES):
        (place / name).hardlink_to(place / record.NAME)
    return str(place)


class _Keeper(keeper.Keeper):
    """One that forks nobody."""

    def _fork(self, question: dict[str, Any]) -> int:
        [str(word) for word in question["words"]]
        {str(name): str(value) for name, value in question["environment"].items()}
        return 1

    def _hold(self) -> int:
        return 1


class _Caller:
    """A listener at which somebody has called."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def accept(self) -> tuple[socket.socket, str]:
        return self._end, ""


def keeper_questions(case: bytes) -> None:
    """A question to the keeper is answered, whatever it is."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.send(case or b"x")
        _Keeper(cast("Any", _Caller(theirs)), 0)._serve()
        data, descriptors, _, _ = socket.recv_fds(ours, 1 << 16, 4)
        for descriptor in descriptors:
            os.close(descriptor)
        assert isinstance(json.loads(data), dict)


def helper_reports(case: bytes) -> None:
    """What unpacker and porter say, of which the one reads strangers' archives and the other stands in a container's root."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            if case[:1] > b"\x80":
                memory = os.memfd_create("names")
                os.write(memory, case)
                socket.send_fds(theirs, [case[1:] or b"x"], [memory])
                os.close(memory)
            else:
                theirs.send(case or b"x")
        with contextlib.suppress(OSError, SampanError):
            jail._listen(ours)
    porter.report_of(case)


def shipped(case: bytes) -> None:
    """What the shipper reads: a job, a position, or a collector's acknowledgement, by the length."""
    place = _shipped_place()
    if len(case) % 3 < 2:
        with open(place / "a.job", "wb") as file:
            file.write(case)
        _ = jobs.read_jobs(place) if len(case) % 3 else jobs.read_position(place / "a.job")
        return
    sender = Fluentd({"fluentd-address": "a.test:1"}, jobs.Facts("i", "n", "", "", "", "", "", ""))
    sender._to = cast("Any", _Collector(case))
    loop().run_until_complete(_acknowledged(sender))


async def _acknowledged(sender: Fluentd) -> None:
    with contextlib.suppress(OSError):
        await sender._await_ack("chunk")


class _Collector:
    """Says these bytes, in two pieces, and hangs up."""

    def __init__(self, said: bytes) -> None:
        self._pieces = [said[: len(said) // 2], said[len(said) // 2 :]]

    async def receive(self, most: int, seconds: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@functools.cache
def _shipped_place() -> Path:
    place = directory() / "jobs"
    place.mkdir()
    return place
