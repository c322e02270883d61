"""sampan-net: the resolver of all containers in networks of a user's own, one process for a daemon and its successors.

    init (at a start) ── SERVING + two sockets, pidfd ──▶ sampan-net ◀── HELLO, KNOW, FORGET, SERVE, HOST_SERVERS ── daemon
    program in a container ── 127.0.0.11:53 ─(rules of its namespace)─▶ its two sockets ─▶ the book of names, or upstream
    caller at [::1]:8080 ── listening socket (PROXY, from the daemon) ─▶ `proxy` ─▶ the container

It is forked by the launcher and has one thread. Sockets come to it from the containers' namespaces: init opens them before the
program runs, so that no question is ever too early; for a container that runs already it joins the namespace for a moment
and opens them itself. What it knows it was told by the daemon; without one it goes on with what it knows, and it ends when there is
neither a daemon nor a container. Whatever comes from a container is bounded: size, number, time.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time

from sampan.kernel.caps import Cap, capset, clear_ambient, drop_bounding, last_cap
from sampan.kernel.namespaces import Clone, setns
from sampan.kernel.process import Prctl, Title, prctl, prlimit
from sampan.kernel.seccomp import install_filter
from sampan.network import dns
from sampan.network.names import Book
from sampan.network.resolver_sockets import open_here
from sampan.runtime.messages import MALFORMED, Kind, Message, ProtocolError, receive
from sampan.runtime.offspring import stand_alone
from sampan.runtime.poller import Poller
from sampan.runtime.proxy import Proxies
from sampan.runtime.questioner import Questioner
from sampan.runtime.upstream import Upstream
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_TTL = 600
"""Docker's, for its own names."""
_BURST = 32
"""Packets of one container that are answered before the next one's."""
_CLIENTS = 16
"""TCP clients of one container."""
_CALLERS = 256
_FILES = 65536
_RLIMIT_NOFILE = 7
_FIRST_DAEMON_SECONDS = 30.0
_SWEEP_SECONDS = 5.0
_CREDENTIALS = struct.Struct("3i")


def main(message: Message, title: Title) -> NoReturn:
    """Be the resolver. Called in a fresh child of the launcher; never returns. The one descriptor is the listening socket."""
    code = 1
    try:
        stand_alone(message.descriptors, signal.SIGPIPE)
        os.setsid()
        title.set("sampan-net")
        lines.speak_as("sampan-net")
        try:
            prlimit(_RLIMIT_NOFILE, _FILES, _FILES)
        except PermissionError:
            pass  # fewer containers then
        resolver = Resolver(socket.socket(fileno=message.descriptors[0]))
        _confine(bytes.fromhex(message.body["filter"]))
        resolver.run()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def _confine(program: bytes) -> None:
    """Give away what serving does not need.

    Three capabilities stay for the network of a container that runs already: CAP_SYS_ADMIN for setns(2) into it,
    CAP_SYS_PTRACE since the kernel asks of a pidfd's user what it asks of a debugger where the container has capabilities
    that we have not, and CAP_NET_ADMIN for the rules that lead its questions here.
    """
    own = 1 << Cap.SYS_ADMIN | 1 << Cap.SYS_PTRACE | 1 << Cap.NET_ADMIN
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    clear_ambient()
    drop_bounding(own, last_cap())
    capset(own, own, 0)
    install_filter(program)


class Served:
    """A container that is served: its two sockets, and the pidfd that tells of its end."""

    __slots__ = ("clients", "id", "pidfd", "tcp", "udp")

    def __init__(self, identifier: str, udp: socket.socket, tcp: socket.socket, pidfd: int) -> None:
        self.id = identifier
        self.udp = udp
        self.tcp = tcp
        self.pidfd = pidfd
        self.clients: set[Questioner] = set()


class Resolver:
    """The loop, and who is served."""

    def __init__(self, listener: socket.socket) -> None:
        self._poller = Poller()
        self._upstream = Upstream(self._poller)
        self._book = Book()
        self._proxies = Proxies(self._poller)
        self._host_servers: list[str] = []
        self._served: dict[str, Served] = {}
        self._listener = listener
        self._callers: dict[int, socket.socket] = {}
        self._daemon: socket.socket | None = None
        self._is_awaited = True
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until there is nobody left to serve."""
        self._listener.setblocking(False)
        self._poller.add(self._listener.fileno(), self._call)
        self._poller.later(_FIRST_DAEMON_SECONDS, self._await_no_more)
        self._poller.later(_SWEEP_SECONDS, self._sweep)
        while self._is_awaited or self._daemon is not None or self._served or len(self._proxies):
            self._poller.turn(5.0)

    def _await_no_more(self) -> None:
        self._is_awaited = False

    def _sweep(self) -> None:
        """Connections that have had their time end."""
        now = time.monotonic()
        for served in self._served.values():
            for client in [client for client in served.clients if client.until < now]:
                client.close()
        self._poller.later(_SWEEP_SECONDS, self._sweep)

    def _call(self, _events: int) -> None:
        """Somebody connects: an init, which says one thing and goes, or the daemon, which stays."""
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return
        peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] != os.geteuid() or len(self._callers) >= _CALLERS:
            caller.close()
            return
        caller.setblocking(False)
        self._callers[caller.fileno()] = caller
        self._poller.add(caller.fileno(), lambda _events: self._hear(caller))
        self._hear(caller)

    def _hear(self, caller: socket.socket) -> None:
        while True:
            try:
                message = receive(caller)
            except BlockingIOError:
                return
            except (OSError, ProtocolError):
                message = None
            if message is None:
                self._hang_up(caller)
                return
            self._take(caller, message)

    def _take(self, caller: socket.socket, message: Message) -> None:
        """Do what it says. What is malformed is told and left: who runs already is still to be answered."""
        try:
            self._obey(caller, message)
        except (OSError, ProtocolError, *MALFORMED) as error:
            lines.say("error", f"{message.kind.name}: {error!r}")
        finally:
            message.close()

    def _hang_up(self, caller: socket.socket) -> None:
        self._poller.remove(caller.fileno())
        self._callers.pop(caller.fileno(), None)
        caller.close()
        if caller is self._daemon:
            self._daemon = None

    def _obey(self, caller: socket.socket, message: Message) -> None:
        body = message.body
        match message.kind:
            case Kind.HELLO:
                earlier, self._daemon, self._is_awaited = self._daemon, caller, False
                if earlier is not None:
                    self._hang_up(earlier)
            case Kind.KNOW:
                self._book.know(str(body["id"]), body)
            case Kind.FORGET:
                # Its sockets go with its process: by now they may be those of its next run.
                self._book.forget(str(body["id"]))
                self._proxies.forget(str(body["id"]))
            case Kind.PROXY:
                self._proxies.serve(str(body["id"]), body["ports"], message.descriptors, bool(body["more"]))
            case Kind.HOST_SERVERS:
                self._host_servers = [str(server) for server in body["servers"]]
                self._upstream.answers.clear()
            case Kind.SERVE:
                self._enter(str(body["id"]), message)
            case Kind.SERVING:
                identifier, (udp, tcp, pidfd) = str(body["id"]), message.descriptors
                message.descriptors = []
                self._serve(Served(identifier, socket.socket(fileno=udp), socket.socket(fileno=tcp), pidfd))
            case _:
                raise ProtocolError("sampan-net knows no such message")

    def _enter(self, identifier: str, message: Message) -> None:
        """Serve a container that runs already, unless it is served: open its sockets in its own namespace."""
        present = self._served.get(identifier)
        if present is not None and not _has_ended(present.pidfd):
            return
        pidfd = message.descriptors[0]
        try:
            setns(pidfd, Clone.NEWNET)
        except ProcessLookupError:
            return  # it has ended meanwhile
        try:
            udp, tcp = open_here()
        finally:
            setns(self._home, Clone.NEWNET)
        message.descriptors = []
        self._serve(Served(identifier, udp, tcp, pidfd))

    def _serve(self, served: Served) -> None:
        self._drop(self._served.get(served.id))
        self._served[served.id] = served
        served.udp.setblocking(False)
        served.tcp.setblocking(False)
        self._poller.add(served.udp.fileno(), lambda _events: self._datagrams(served))
        self._poller.add(served.tcp.fileno(), lambda _events: self._connection(served))
        self._poller.add(served.pidfd, lambda _events: self._drop(served))

    def _drop(self, served: Served | None) -> None:
        """The container has ended, or is served anew."""
        if served is None or self._served.get(served.id) is not served:
            return
        del self._served[served.id]
        for client in list(served.clients):
            client.close()
        for descriptor in (served.udp.fileno(), served.tcp.fileno(), served.pidfd):
            self._poller.remove(descriptor)
        served.udp.close()
        served.tcp.close()
        os.close(served.pidfd)

    def _datagrams(self, served: Served) -> None:
        for _ in range(_BURST):
            try:
                packet, client = served.udp.recvfrom(dns.QUERY_LIMIT + 1)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._answer(served, packet, False, _Sender(served.udp, client))

    def _connection(self, served: Served) -> None:
        try:
            sock, _ = served.tcp.accept()
        except OSError:
            return
        if len(served.clients) >= _CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        client = Questioner(
            self._poller,
            sock,
            lambda query, reply: self._answer(served, query, True, reply),
            lambda: served.clients.discard(client),
        )
        served.clients.add(client)

    def _answer(self, served: Served, packet: bytes, stream: bool, reply: Callable[[bytes], None]) -> None:
        """Answer one query: from the book, from upstream, or with a refusal."""
        try:
            question = dns.parse_query(packet)
        except dns.BadMessage as bad:
            reply(dns.refusal(packet, bad.code))
            return
        own = self._own(served.id, packet, question)
        if own:
            reply(own if stream else dns.fitted(own, question))
            return
        if not self._book.goes_out(served.id):
            reply(dns.answer(packet, question, (), 0, dns.SERVER_FAILURE))
            return

        def settle(response: bytes) -> None:
            response = response or dns.answer(packet, question, (), 0, dns.SERVER_FAILURE)
            reply(response if stream else dns.fitted(response, question))

        servers = self._book.servers(served.id) or self._host_servers
        self._upstream.ask(served.id, servers, packet, question.end, stream, settle)

    def _own(self, container: str, packet: bytes, question: dns.Question) -> bytes:
        """What the book says; empty where it knows nothing of the name."""
        if addresses := self._book.find(container, question.name):
            # Of a name of ours nobody else is asked, whatever is asked of it.
            length = {dns.A: 4, dns.AAAA: 16}.get(question.kind, 0)
            records = [(question.kind, address) for address in addresses if len(address) == length]
            return dns.answer(packet, question, records, _TTL)
        address = dns.reverse_address(question.name) if question.kind == dns.PTR else None
        name = self._book.called(container, address) if address is not None else b""
        if not name:
            return b""
        try:
            return dns.answer(packet, question, [(dns.PTR, dns.encoded_name(name))], _TTL)
        except dns.BadMessage:
            return b""


class _Sender:
    """Sends a response to a client by UDP; a full buffer or a client that has gone loses it, as UDP may."""

    __slots__ = ("_client", "_socket")

    def __init__(self, sock: socket.socket, client: tuple[str, int]) -> None:
        self._socket = sock
        self._client = client

    def __call__(self, response: bytes) -> None:
        if response and self._socket.fileno() >= 0:
            try:
                self._socket.sendto(response, self._client)
            except OSError:
                return


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
