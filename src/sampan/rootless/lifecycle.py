"""Start and stop of an ordinary user's engine: keeper and world, uplink, daemon, each only if it is not there yet."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import contextmanager

import sampan
from sampan.errors import System, Unavailable
from sampan.network import outside
from sampan.rootless import mapping, uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from sampan.rootless.places import Places

_KEEPER = "import sys; sys.path.append(sys.argv.pop()); from sampan.rootless.keeper import main; main()"
_DAEMON = "import sys; sys.path.insert(0, {root!r}); from sampan.daemon_main import main; sys.exit(main())"
_PADDING = " " * 64
"""Room for a title, as the launcher has it."""
_HANDSHAKE_SECONDS = 20.0
_READY_SECONDS = 60.0
"""A machine that is emulated, or starved, needs twenty; a daemon that ends is noticed at once."""
_END_SECONDS = 30.0
_PAUSE = 0.02
# What a daemon may know of its user's environment: nothing of the session, all of the network's set-up.
_KEPT = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "USER", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "SAMPAN_CRASH_AT", "SAMPAN_DEBUG",
)  # fmt: skip


class Choices:
    """What a user chose at set-up: `network` is pasta, slirp4netns, none, or "" for the first there is."""

    __slots__ = ("network",)

    def __init__(self, network: str = "") -> None:
        self.network = network


def read_choices(places: Places) -> Choices | None:
    """What `setup` wrote; None where it has not. Raises System for a broken file."""
    try:
        with open(places.choices, encoding="utf-8") as file:
            found = json.loads(file.read(1 << 16))
        return Choices(str(found.get("network", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise System(f"{places.choices}: {error}; `sampan rootless setup` writes it anew") from error


def write_choices(places: Places, choices: Choices) -> None:
    """Note them: from here on a daemon may be started on demand."""
    _write(places.choices, json.dumps({"network": choices.network}) + "\n")


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def state(places: Places) -> dict[str, Any] | None:
    """What the keeper says: pid, daemon (0: none), network; None where there is no keeper."""
    try:
        return outside.ask(places.keeper, {"want": "state"})[0]
    except (FileNotFoundError, ConnectionError):
        return None
    except OSError as error:
        raise Unavailable(f"the keeper at {places.keeper} does not answer: {error.strerror or error}") from error


def start(places: Places, choices: Choices, environ: Mapping[str, str]) -> str:
    """Start what is missing, and return when the daemon answers; one line for the user. Raises SampanError with what to do."""
    began = time.monotonic()
    for directory in (places.run, places.data):
        os.makedirs(os.path.dirname(directory), 0o700, exist_ok=True)
        os.makedirs(directory, 0o711, exist_ok=True)
    with _one_at_a_time(places):
        present = state(places)
        program = uplink.choose(choices.network, lambda name: shutil.which(name, path=mapping.ENVIRONMENT["PATH"]))
        own = uplink.addresses(mapping.read("/proc/net/route"), mapping.read("/proc/net/ipv6_route"))
        if present is None:
            if orphan := _orphan(places):
                raise Unavailable(f"the daemon (pid {orphan}) has lost its keeper: sampan rootless stop, then start")
            _start_keeper(places, own, program)
            present = state(places)
        if present is None:
            raise Unavailable(f"the keeper ended at once; its log is {places.log}")
        notes = _start_uplink(places, int(present["pid"]), int(present["network"]), program, own)
        if not os.path.exists(places.daemon_json):
            # A user's to fill; the machine's own is for the machine's daemon.
            _write(places.daemon_json, "{}\n")
        words = daemon_words(places, _own_address())
        kept = {name: environ[name] for name in _KEPT if name in environ}
        question = {"want": "daemon", "words": words, "environment": kept, "log": places.log}
        already = int(present["daemon"])
        pid = int(_asked(places, question)["daemon"])
        _wait_until_ready(places, pid)
    if already == pid:
        return f"sampan: the daemon runs already (pid {pid}, {places.socket})"
    return f"sampan: started a rootless daemon (pid {pid}, {time.monotonic() - began:.1f} s, log {places.log}{notes})"


def stop(places: Places, *, daemon_only: bool = False) -> str:
    """End the daemon; unless `daemon_only`, then uplink and keeper too. Containers are the caller's to stop first."""
    with _one_at_a_time(places):
        present = state(places)
        pid = int(present["daemon"]) if present else _orphan(places)
        if pid:
            os.kill(pid, signal.SIGTERM)
            ends = time.monotonic() + _END_SECONDS
            while uplink.start_time(pid):
                if time.monotonic() > ends:
                    raise System(
                        f"the daemon (pid {pid}) has not ended within {_END_SECONDS:.0f} s; its log is {places.log}"
                    )
                time.sleep(_PAUSE)
        if daemon_only:
            return f"sampan: daemon {pid} has ended; containers go on" if pid else "sampan: no daemon ran"
        uplink.stop(places.uplink)
        if present is not None:
            _asked(places, {"want": "end"})
        return "sampan: the rootless engine has ended" if present or pid else "sampan: no rootless engine ran"


def _orphan(places: Places) -> int:
    """The daemon that goes on though its keeper has died; 0 where there is none. By pid file and command line."""
    text = mapping.read(f"{places.run}/sampand.pid").strip()
    pid = int(text) if text.isdecimal() else 0
    words = mapping.read(f"/proc/{pid}/cmdline").split("\0") if pid else []
    return pid if places.run in words and "--rootless" in words else 0


def daemon_words(places: Places, gateway: str) -> list[str]:
    """The daemon's command line."""
    code = _DAEMON.format(root=_source())
    words = [sys.executable, "-I", "-c", code, "--rootless", "--data-root", places.data, "--exec-root", places.run]
    words += ["--host", f"unix://{places.socket}", "--group", "0"]
    words += ["--config-file", places.daemon_json]
    chosen = "host-gateway-ip" in mapping.read(places.daemon_json)
    return words + (["--host-gateway-ip", gateway] if gateway and not chosen else [])


def _source() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(sampan.__file__)))


def _own_address() -> str:
    """The machine's address on its way out: what `host-gateway` is to containers, whose packets to it end at the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("198.51.100.1", 9))
        except OSError:
            return ""
        return str(sock.getsockname()[0])


@contextmanager
def _one_at_a_time(places: Places) -> Iterator[None]:
    """Two commands that find no daemon at the same moment start one."""
    try:
        descriptor = os.open(
            f"{places.run}/rootless.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except FileNotFoundError:
        yield  # nothing was ever started
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _asked(places: Places, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return outside.ask(places.keeper, question)[0]
    except OSError as error:
        raise Unavailable(f"the keeper at {places.keeper} does not answer: {error.strerror or error}") from error


def _start_keeper(places: Places, own: uplink.Addresses, program: str) -> None:
    resolv_conf = ""
    if program != uplink.NONE:
        resolv_conf = places.resolv_conf
        _write_resolv_conf(resolv_conf, own.dns)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    arguments = [sys.executable, "-I", "-S", "-B", "-c", _KEEPER, _PADDING, _source()]
    try:
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            {"PATH": mapping.ENVIRONMENT["PATH"]},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            ],
            setsid=True,
        )
    finally:
        os.close(log)
        theirs.close()
    ours.settimeout(_HANDSHAKE_SECONDS)
    try:
        ours.send(json.dumps({"run": places.run, "resolv_conf": resolv_conf}).encode())
        _heard(ours, "unshared", places)
        mapping.map_ids(pid, mapping.owner(os.geteuid(), os.getegid()))
        ours.send(b"mapped")
        _heard(ours, "standing", places)
    except (OSError, mapping.CannotMap) as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Unavailable(
            f"no user namespace for the daemon: {error}\n`sampan rootless check` says what is missing"
        ) from error
    finally:
        ours.close()


def _heard(channel: socket.socket, word: str, places: Places) -> None:
    data = channel.recv(outside.LIMIT)
    said = json.loads(data) if data else {"error": f"the keeper ended; its log is {places.log}"}
    if word not in said:
        raise OSError(1, str(said.get("error", said)))


def _write_resolv_conf(path: str, server: str) -> None:
    """The uplink's server, which asks the machine's; what else the machine's file says stays."""
    lines = [line for line in mapping.read("/etc/resolv.conf").splitlines() if not line.startswith("nameserver")]
    _write(path, "\n".join([f"nameserver {server}", *lines]) + "\n")


def _start_uplink(places: Places, keeper: int, network: int, program: str, own: uplink.Addresses) -> str:
    """Notes for the user: empty where there is a way out."""
    if program == uplink.NONE:
        return "; no way out of containers: neither pasta (package passt) nor slirp4netns is installed"
    if uplink.recorded(places.uplink):
        return ""
    holder = int(_asked(places, {"want": "holder"})["holder"])
    log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        words = uplink.command(program, f"/proc/{keeper}/ns/user", f"/proc/{keeper}/fd/{network}", own)
        uplink.record(places.uplink, uplink.start(words, log, holder))
    except Unavailable as error:
        return f"; no way out of containers: {error}"
    finally:
        os.close(log)
        _asked(places, {"want": "release", "holder": holder})
    return ""


def _wait_until_ready(places: Places, pid: int) -> None:
    ends = time.monotonic() + _READY_SECONDS
    while not answers(places.socket):
        if not uplink.start_time(pid) or time.monotonic() > ends:
            what = f"did not answer within {_READY_SECONDS:.0f} s" if uplink.start_time(pid) else "ended at once"
            raise Unavailable(
                f"started a rootless daemon, but it {what}: {_last_words(places.log)} (log: {places.log})"
            )
        time.sleep(_PAUSE)


def answers(path: str) -> bool:
    """Whether somebody answers a ping at the unix socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(path)
            sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return sock.recv(16).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def _last_words(path: str) -> str:
    lines = mapping.read(path)[-4096:].strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
