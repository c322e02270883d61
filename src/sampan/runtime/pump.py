"""The monitor's loop while a program runs: output to the log and to clients, input to the program, requests of the daemon.

One thread, one poll(2). Every buffer has a bound: a client that does not read, or a program that does not, makes this loop
stop reading from the other side.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time

from sampan.kernel.terminal import set_size
from sampan.logs.reading import decoder
from sampan.runtime.attached import CHUNK, Client, Detached, Input
from sampan.runtime.messages import BEHIND, MALFORMED, Kind, Message, ProtocolError, receive_whole, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sampan.logs.line_writer import Log


_DRAIN_SECONDS = 2.0
"""How long output is still read when the program is gone but something else holds its pipes (`--pid=host`)."""
_FLUSH_SECONDS = 10.0
_MOST_CHANNELS = 16
_MOST_CLIENTS = 256
_CREDENTIALS = struct.Struct("3i")


class Pump:
    """Moves bytes until the program has ended and its output is drained."""

    def __init__(
        self, log: Log | None, terminal: int, input_once: bool, tied: bool = False, patient: bool = True
    ) -> None:
        """`input_once`, `tied`: see `request.Stdio`. Without `patient` clients that do not read are left out of what they miss."""
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._masks: dict[int, int] = {}
        self._log = log
        self._patient = patient
        self._terminal = terminal
        self._outputs: dict[int, int] = {}
        self._clients: list[Client] = []
        self._channels: list[socket.socket] = []
        self._input: Input | None = None
        self._input_once = input_once
        self._tied = tied
        self._program = -1
        self._ended = False
        self.on_end: Callable[[], object] | None = None
        """called as soon as the program has ended, before its last output is moved"""
        self.state: tuple[Kind, dict[str, Any], list[int]] = (Kind.STARTED, {}, [])
        """what a daemon that connects is told first"""

    def add_output(self, descriptor: int, stream: int) -> None:
        """Read `descriptor` as the program's stream 1 or 2."""
        os.set_blocking(descriptor, False)
        self._outputs[descriptor] = stream
        self._watch(descriptor, select.POLLIN, lambda _: self._read_output(descriptor))

    def set_input(self, descriptor: int) -> None:
        """The program's input."""
        self._input = Input(descriptor, descriptor == self._terminal)

    def add_channel(self, channel: socket.socket) -> None:
        """Listen to a daemon."""
        self._channels.append(channel)
        self._watch(channel.fileno(), select.POLLIN, lambda _: self._request(channel))

    def listen(self, listener: socket.socket) -> None:
        """Accept daemons that come later (the one that started us may die)."""
        listener.setblocking(False)
        self._watch(listener.fileno(), select.POLLIN, lambda _: self._accept(listener))

    def add_client(self, client: Client) -> None:
        """Attach a client; input that came with its request goes to the program first. One too many is let go at once."""
        if len(self._clients) >= _MOST_CLIENTS:
            client.close()
            return
        self._clients.append(client)
        if client.stdin and client.pending_input:
            self._typed(client, client.without_keys, client.pending_input)
        client.pending_input = b""
        if client in self._clients:
            self._watch(client.fileno(), 0, lambda mask: self._client_event(client, mask))

    def run(self, ended: int) -> None:
        """Move bytes until the process of the pidfd `ended` is gone and the output is drained."""
        self._program = ended
        self._watch(ended, select.POLLIN, lambda _: self._end(ended))
        deadline = 0.0
        while not self._ended or self._outputs:
            if self._ended:
                deadline = deadline or time.monotonic() + _DRAIN_SECONDS
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._turn(int(left * 1000) + 1)
            else:
                self._turn(None)
        for descriptor in list(self._outputs):
            self._close_output(descriptor)
        if self._log is not None:
            self._log.close()

    def finish(self) -> None:
        """Let clients have what is unsent, for a bounded time, and close all connections."""
        for client in self._clients:
            client.closing = True
        deadline = time.monotonic() + _FLUSH_SECONDS
        while any(client.unsent for client in self._clients) and time.monotonic() < deadline:
            for client in [client for client in self._clients if not client.unsent]:
                self._drop(client)
            self._turn(100)
        for client in list(self._clients):
            self._drop(client)
        for channel in self._channels:
            channel.close()

    def tell(self, kind: Kind, body: dict[str, Any], descriptors: list[int]) -> None:
        """Tell every daemon that is connected, and those that connect later."""
        self.state = (kind, body, descriptors)
        self._tell(kind, body, descriptors)

    # The rest is the loop's own.

    def _tell(self, kind: Kind, body: dict[str, Any], descriptors: list[int]) -> None:
        for channel in list(self._channels):
            try:
                send(channel, kind, body, descriptors)
            except OSError:
                self._forget_channel(channel)

    def _turn(self, timeout: int | None) -> None:
        self._set_interest()
        for descriptor, mask in self._poll.poll(timeout):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(mask)

    def _set_interest(self) -> None:
        # As in Docker everybody waits for the slowest, who has a bound; but not for one that gets nothing more.
        blocked = self._patient and any(client.full and not client.closing for client in self._clients)
        for descriptor in self._outputs:
            self._change(descriptor, 0 if blocked else select.POLLIN)
        hungry = self._input is not None and self._input.descriptor >= 0 and not self._input.full
        for client in self._clients:
            mask = select.POLLOUT if client.unsent else 0
            if client.stdin and hungry and not client.input_ended and not client.closing:
                mask |= select.POLLIN
            self._change(client.fileno(), mask)
        if self._input is not None and self._input.descriptor >= 0:
            self._watch_input(self._input)

    def _watch_input(self, program: Input) -> None:
        descriptor = program.descriptor
        if descriptor == self._terminal:
            mask = (select.POLLOUT if program.unsent else 0) | self._masks.get(descriptor, 0)
            if descriptor in self._handlers:
                self._change(descriptor, mask)
        elif program.unsent:
            self._watch(descriptor, select.POLLOUT, lambda _: self._flush_input(descriptor))
        else:
            self._unwatch(descriptor)

    def _flush_input(self, descriptor: int) -> None:
        if self._input is not None:
            self._input.flush()
            if self._input.descriptor < 0:
                self._unwatch(descriptor)

    def _watch(self, descriptor: int, mask: int, handler: Callable[[int], None]) -> None:
        self._poll.register(descriptor, mask)
        self._handlers[descriptor] = handler
        self._masks[descriptor] = mask

    def _change(self, descriptor: int, mask: int) -> None:
        if self._masks.get(descriptor, mask) != mask:
            self._poll.modify(descriptor, mask)
            self._masks[descriptor] = mask

    def _unwatch(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
            del self._masks[descriptor]

    def _end(self, ended: int) -> None:
        self._ended = True
        if self.on_end is not None:
            self.on_end()
        self._unwatch(ended)

    def _read_output(self, descriptor: int) -> None:
        if descriptor == self._terminal and self._input is not None and self._input.unsent:
            self._input.flush()
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            # A terminal whose last slave is closed answers EIO where a pipe answers with its end.
            data = b""
        if not data:
            self._close_output(descriptor)
            return
        stream = self._outputs[descriptor]
        if self._log is not None:
            self._log.feed(stream, data)
        for client in list(self._clients):
            if client.full and not self._patient:
                client.leave_out(stream, data)
            elif not client.output(stream, data):
                self._drop(client)

    def _close_output(self, descriptor: int) -> None:
        del self._outputs[descriptor]
        self._unwatch(descriptor)
        if descriptor == self._terminal:
            self._terminal = -1
            if self._input is not None:
                self._input.descriptor = -1
        os.close(descriptor)

    def _client_event(self, client: Client, mask: int) -> None:
        if mask & select.POLLOUT and (not client.flush() or (client.closing and not client.unsent)):
            self._drop(client)
            return
        if mask & select.POLLIN:
            self._typed(client, lambda _: client.input(), b"")
        elif mask & (select.POLLHUP | select.POLLERR):
            self._leave(client)

    def _typed(self, client: Client, read: Callable[[bytes], bytes | None], data: bytes) -> None:
        try:
            typed = read(data)
        except Detached as detached:
            if self._input is not None:
                self._input.give(detached.rest)
            self._drop(client)
            self._tell(Kind.DETACHED, {}, [])
            return
        if typed and self._input is not None:
            self._input.give(typed)
        if client.input_ended:
            self._input_ended(client)

    def _input_ended(self, client: Client) -> None:
        """A client that gave input gives no more. With `stdin_once` that is the end of the program's input, and the client hears
        the rest; else, and at a terminal, it is the client's own end, as in Docker."""
        self._leave(client, still_listens=True)
        if not self._input_once or self._terminal >= 0:
            client.closing = True
            if not client.unsent:
                self._drop(client)

    def _leave(self, client: Client, still_listens: bool = False) -> None:
        """A client's input has ended; with `stdin_once` the program's does too."""
        if client.stdin and self._input_once and self._input is not None:
            self._input.end()
        if not still_listens:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
        self._unwatch(client.fileno())
        client.close()
        if self._tied and not self._clients and self._program >= 0 and not self._ended:
            signal.pidfd_send_signal(self._program, signal.SIGKILL)

    def _accept(self, listener: socket.socket) -> None:
        try:
            channel, _ = listener.accept()
        except BlockingIOError:
            return
        peer = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] != os.geteuid() or len(self._channels) >= _MOST_CHANNELS:
            channel.close()
            return
        self.add_channel(channel)
        try:
            send(channel, *self.state)
        except OSError:
            self._forget_channel(channel)

    def _forget_channel(self, channel: socket.socket) -> None:
        self._channels.remove(channel)
        self._unwatch(channel.fileno())
        channel.close()

    def _request(self, channel: socket.socket) -> None:
        try:
            message = receive_whole(channel)
        except (OSError, ProtocolError):
            message = None
        if message is None:
            self._forget_channel(channel)
            return
        error = self._answer(message)
        try:
            send(channel, Kind.REPLY, {"error": error}, request=message.request)
        except OSError:
            self._forget_channel(channel)

    def _catches_up(self, client: Client, after: list[int] | None) -> bool:
        """Give a client that has been sent the log up to a place what came behind it. False where that is too far back."""
        if after is None or self._log is None:
            return True
        try:
            found = self._log.since(*after)
        except OSError:
            # Somebody has removed the log: there is no place in it, and what comes goes on being said.
            return True
        if found is None:
            return False
        records, begun = found
        for stream, text in [(entry.stream, entry.line) for entry in decoder(self._log.path)(records)] + begun:
            client.output(stream, text)
        return True

    def _attach(self, specs: list[dict[str, Any]], made: list[Client]) -> str:
        waiting = list(made)
        try:
            for spec, client in zip(specs, made, strict=True):
                if not self._catches_up(client, spec.get("after")):
                    # The connection is the daemon's, too: it sends more of the log, and asks again.
                    return BEHIND
                self.add_client(waiting.pop(0))
        finally:
            for client in waiting:
                client.sock.close()
        return ""

    def _answer(self, message: Message) -> str:
        try:
            if message.kind is Kind.ATTACH:
                specs, descriptors, message.descriptors = message.body["attach"], message.descriptors, []
                return self._attach(specs, clients(specs, descriptors, self._terminal >= 0))
            elif message.kind is Kind.RESIZE:
                if self._terminal < 0:
                    return "no terminal"
                set_size(self._terminal, int(message.body["rows"]), int(message.body["columns"]))
            elif message.kind is Kind.CLEAR_LOG:
                if self._log is None:
                    return "no log"
                self._log.clear()
            else:
                return f"unknown request {message.kind.name}"
        except (OSError, *MALFORMED) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            message.close()
        return ""


def clients(specs: list[dict[str, Any]], descriptors: list[int], terminal: bool) -> list[Client]:
    """The clients that a START or ATTACH describes, one descriptor each; where they are none, nothing of them stays open."""
    made: list[Client] = []
    socks = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    try:
        made.extend(_client(spec, sock, terminal) for spec, sock in zip(specs, socks, strict=True))
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return made


def _client(spec: dict[str, Any], sock: socket.socket, terminal: bool) -> Client:
    wants = frozenset(stream for stream, name in ((1, "stdout"), (2, "stderr")) if spec[name])
    pending = str(spec["pending"]).encode("latin-1")
    keys = str(spec["keys"]).encode("latin-1") if terminal else b""
    framed = spec.get("framed")  # missing from daemons of before it was asked
    framed = not terminal if framed is None else bool(framed)
    return Client(sock, wants, bool(spec["stdin"]), framed, pending, keys)
