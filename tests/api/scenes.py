"""What the tests of deaths share: containers by the API alone, hijacked streams, waiting, and the deaths themselves."""

import json
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from tests import processes
from tests.daemons import Sampan
from tests.waiting import eventually

SECONDS = 60.0


class Stream:
    """A hijacked connection to a container's streams, or an answer that grows. `seen` is what came behind its head."""

    opened: ClassVar[list[socket.socket]] = []
    """For the fixture that closes them after each test."""

    def __init__(self, engine: Sampan, path: str, method: str = "POST", hijack: bool = True) -> None:
        self.seen = b""
        self.sock = socket.socket(socket.AF_UNIX)
        self.opened.append(self.sock)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(engine.socket))
        more = "Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0" if hijack else "Connection: close"
        self.sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: d\r\n{more}\r\n\r\n".encode())
        self.expect(b"\r\n\r\n")
        assert self.seen.startswith(b"HTTP/1.1 101" if hijack else b"HTTP/1.1 200"), self.seen
        self.seen = self.seen.partition(b"\r\n\r\n")[2]

    def say(self, line: bytes) -> None:
        """Type a line."""
        self.sock.sendall(line)

    def expect(self, wanted: bytes) -> None:
        """Read until `wanted` has come."""
        while wanted not in self.seen:
            assert self._read(), f"{wanted!r} did not come before the end: {self.seen!r}"

    def expect_end(self) -> None:
        """Read until the other side has closed."""
        while self._read():
            pass

    def _read(self) -> bool:
        assert select.select([self.sock], [], [], SECONDS)[0], f"silence after {self.seen[-200:]!r}"
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.seen += piece
        return bool(piece)


class Box:
    """A container of one test, made by the API."""

    def __init__(self, engine: Sampan, *command: str, name: str = "", host: object = None, **config: object) -> None:
        self.engine = engine
        body = {"Image": "busybox", "Cmd": list(command), "HostConfig": host or {}, **config}
        answer = engine.api("POST", f"/containers/create?name={name}", body)
        assert answer.status == 201, answer.body
        self.id = str(json.loads(answer.body)["Id"])

    def start(self) -> Self:
        """Start it, and return it."""
        answer = self.engine.api("POST", f"/containers/{self.id}/start")
        assert answer.status == 204, answer.body
        return self

    def attach(self) -> Stream:
        """All three streams, before or after the start."""
        return Stream(self.engine, f"/containers/{self.id}/attach?stream=1&stdin=1&stdout=1&stderr=1")

    def follow(self) -> Stream:
        """Its log, followed."""
        return Stream(self.engine, f"/containers/{self.id}/logs?stdout=1&stderr=1&follow=1", "GET", hijack=False)

    def inspect(self) -> dict[str, Any]:
        """What inspect says."""
        answer = self.engine.api("GET", f"/containers/{self.id}/json")
        assert answer.status == 200, answer.body
        found = json.loads(answer.body)
        assert isinstance(found, dict)
        return found

    def state(self) -> dict[str, Any]:
        """`State` of inspect."""
        found = self.inspect()["State"]
        assert isinstance(found, dict)
        return found

    def pid(self) -> int:
        """The program's pid, as the host sees it."""
        return int(self.state()["Pid"])

    def address(self) -> str:
        """Its address on the default bridge; empty when it has none."""
        return str(self.inspect()["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    def ended(self, code: int) -> None:
        """Wait until it is shown as ended with `code`."""
        eventually(lambda: self.state()["Status"] == "exited", "not shown as ended")
        assert self.state()["ExitCode"] == code

    def run(self, *command: str) -> str:
        """The output of a command executed in it."""
        outcome = self.engine.inside(self.id, *command)
        assert outcome.code == 0, outcome
        return outcome.text

    def logs(self) -> str:
        """All that it has logged."""
        outcome = self.engine.docker("logs", self.id)
        assert outcome.code == 0, outcome
        return (outcome.out + outcome.err).decode()

    def monitor(self) -> int:
        """The pid of its monitor."""
        titled = f"sampan-monitor {self.id[:12]}"
        record = json.loads((self.engine.exec_root / "containers" / self.id / "record.json").read_text())
        pid = int(record["monitor"][0])
        eventually(lambda: processes.title(pid).startswith(titled), f"{pid} is no monitor of {self.id}")
        return pid

    def groups(self) -> list[Path]:
        """Its directories in the control group hierarchies, those of slots and other containers left out."""
        patterns = (f"docker/{self.id}", f"system.slice/docker-{self.id}.scope")
        trees = ("", "*/")
        return [found for tree in trees for each in patterns for found in Path("/sys/fs/cgroup").glob(tree + each)]

    def remove(self) -> None:
        """Remove it by force, where it is still there."""
        assert self.engine.api("DELETE", f"/containers/{self.id}?force=1&v=1").status in (204, 404)


def lives(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int) -> None:
    """SIGKILL, and wait for the end."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not lives(pid), f"{pid} does not end")


def launcher_of(engine: Sampan) -> int:
    """The pid of the engine's launcher."""
    found: list[processes.Process] = []

    def one() -> bool:
        # A child that it has just forked bears its title until it takes its own.
        found[:] = processes.launchers(str(engine.directory))
        return len(found) == 1

    eventually(one, "there is not one launcher")
    return found[0].pid


def kill_launcher(engine: Sampan) -> None:
    """Kill the launcher and wait for the next."""
    old = launcher_of(engine)
    kill(old)
    eventually(
        lambda: [one.pid for one in processes.launchers(str(engine.directory)) if one.pid != old], "no next launcher"
    )


def pause(engine: Sampan) -> None:
    """Stop the daemon without ending it: what happens now happens without it."""
    assert engine.process is not None
    engine.process.send_signal(signal.SIGSTOP)


def resume(engine: Sampan) -> None:
    """Let the daemon go on."""
    assert engine.process is not None
    engine.process.send_signal(signal.SIGCONT)


def bind(port: int) -> int:
    """Try to take a port of the loopback; 0 or the error's number."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or -1
    return 0


def listens(address: str, port: int) -> bool:
    """Whether a connection is accepted there."""
    with socket.socket() as sock:
        sock.settimeout(2)
        return sock.connect_ex((address, port)) == 0


PROCESSES = ("daemon", "launcher", "monitor", "init")
Cell = Callable[[Sampan, str], None]
CELLS: dict[tuple[str, str], Cell] = {}
FOREVER = ("sleep", "1000")


def cell(thing: str, *columns: str) -> Callable[[Cell], Cell]:
    """Register the test of one row in these columns."""

    def register(function: Cell) -> Cell:
        CELLS.update({(thing, process): function for process in columns})
        return function

    return register


def strike(
    engine: Sampan, process: str, box: Box | None = None, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Kill `process`. A daemon is started again, after `meanwhile`; a launcher is by the daemon."""
    if process == "daemon":
        engine.kill()
        meanwhile()
        engine.start()
    elif process == "launcher":
        kill_launcher(engine)
        meanwhile()
    else:
        assert box is not None
        kill(box.monitor() if process == "monitor" else box.pid())
