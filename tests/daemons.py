"""Private daemons: Sampan's and, to compare with, Debian's dockerd. Each has its own roots and socket in a directory of its own.

dockerd runs in mount and network namespaces of its own, so that neither its bridge nor its iptables chains touch the host.
"""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests import leaks
from tests.archives import busybox_archive

PROJECT = Path(__file__).parents[1]
SOURCE = Path(os.environ.get("SOURCE_UNDER_TEST", PROJECT / "src"))
"""Where the engine under test is read from: a weakened copy of it, where tests/long/test_controls.py says so."""
RECORDER = PROJECT / "tests" / "schema" / "recorder.py"
EMULATED = "TCG" in Path("/proc/cpuinfo").read_text()
"""In qemu without KVM (tests/vm): a tenth as fast, and processor time is what the emulator makes of it."""
READY_SECONDS = 300 if EMULATED else 30
STOP_SECONDS = 300 if EMULATED else 30
ANSWER_SECONDS = 300.0 if EMULATED else 60.0


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code and both outputs."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace").strip()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `json` raises where the body is none."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


def free_port() -> int:
    """One of the loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class UnixConnection(http.client.HTTPConnection):
    """HTTP at a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """A daemon under test: start, talk to, kill, stop. The caller owns it and calls `remove` at the end."""

    kind = ""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.kind}-test-", dir="/tmp"))
        self.data_root = self.directory / "data"
        self.exec_root = self.directory / "run"
        self.socket = self.directory / "engine.sock"
        self.log = self.directory / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The value of DOCKER_HOST."""
        return f"unix://{self.socket}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self, *flags: str) -> float:
        """Start and wait until it answers; returns the seconds that took. The log's end is in the error if it does not."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=scrubbed_environment(),
            )
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.kind} ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() - began > READY_SECONDS:
                raise AssertionError(f"{self.kind} was not ready in {READY_SECONDS} s:\n{self.log_tail()}")
            try:
                if self.api("GET", "/_ping", timeout=5).status == 200:
                    return time.monotonic() - began
            except (OSError, http.client.HTTPException):
                time.sleep(0.002)

    def stop(self) -> float:
        """SIGTERM and wait for the end; returns the seconds it took. Containers are the daemon's affair."""
        process = self._running()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.kind} did not end on SIGTERM:\n{self.log_tail()}") from None
        self.process = None
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to the daemon alone."""
        process = self._running()
        process.kill()
        process.wait()
        self.process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise AssertionError(f"{self.kind} does not run")
        return self.process

    def remove(self) -> None:
        """Stop it, where it runs, with every container gone, and delete its directory."""
        try:
            if self.process is not None:
                self.remove_containers()
                self.stop()
        finally:
            if not os.environ.get("SAMPAN_TEST_KEEP"):
                shutil.rmtree(self.directory, ignore_errors=True)

    def remove_containers(self) -> None:
        """`docker rm -f` of everything; returns when it is gone, by whomever: one of `run --rm` may go by itself (409)."""
        deadline = time.monotonic() + 60
        while listed := self.api("GET", "/containers/json?all=1").json():
            assert isinstance(listed, list)
            assert time.monotonic() < deadline, listed
            for container in listed:
                answer = self.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
                assert answer.status in (204, 404, 409), answer

    def api(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout: float = ANSWER_SECONDS,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own. `body`: bytes go as they are, anything else as JSON."""
        sent = dict(headers or {})
        content: bytes | None = None
        if isinstance(body, bytes):
            content = body
            sent.setdefault("Content-Type", "application/x-tar")
        elif body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def docker(
        self, *arguments: str, stdin: bytes = b"", timeout: float = ANSWER_SECONDS, env: dict[str, str] | None = None
    ) -> Outcome:
        """The machine's own `docker` command against this daemon."""
        return self._execute(["docker", *arguments], stdin, timeout, env)

    def inside(self, container: str, *command: str) -> Outcome:
        """A command executed in a container and waited for, by the API: the `docker` command takes several times as long."""
        asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        created = self.api("POST", f"/containers/{container}/exec", asked)
        made = created.json()
        assert created.status == 201, created
        assert isinstance(made, dict), made
        answer = self.api("POST", f"/exec/{made['Id']}/start", {})
        assert answer.status == 200, answer
        heard, outputs = answer.body, {1: b"", 2: b""}
        while heard:
            length = int.from_bytes(heard[4:8], "big")
            outputs[heard[0]] += heard[8 : 8 + length]
            heard = heard[8 + length :]
        ended = self.api("GET", f"/exec/{made['Id']}/json").json()
        assert isinstance(ended, dict)
        return Outcome(int(ended["ExitCode"]), outputs[1], outputs[2])

    def load_busybox(self) -> None:
        """Load `busybox:latest`, made on the fly."""
        answer = self.api("POST", "/images/load", busybox_archive())
        # What fails after the first byte is told in the stream.
        assert answer.status == 200, answer
        assert b'"error"' not in answer.body, answer

    def execute(self, command: list[str], *, timeout: float = ANSWER_SECONDS) -> Outcome:
        """Another client's command against this daemon."""
        return self._execute(command, b"", timeout, None)

    def _execute(self, command: list[str], stdin: bytes, timeout: float, env: dict[str, str] | None) -> Outcome:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={**scrubbed_environment(), "DOCKER_HOST": self.host, **(env or {})},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def log_tail(self) -> str:
        return self.log.read_bytes()[-4000:].decode(errors="replace") if self.log.exists() else ""


class Sampan(Daemon):
    """Sampan from this tree."""

    kind = "sampan"
    answers: ClassVar[Path | None] = None
    """A directory in which each daemon writes down what it answers, for `tests.schema`; the benchmark has none."""

    def __init__(self, within: tuple[str, ...] = ()) -> None:
        """`within`: a command that becomes the daemon, for a world of its own."""
        super().__init__()
        self._within = within

    @property
    def instance(self) -> str:
        """What everything this daemon makes on the host carries in its name."""
        return hashlib.sha256(os.path.realpath(self.data_root).encode()).hexdigest()[:12]

    def has_no_trash(self) -> bool:
        """Whether all that was thrown away is gone from the disk: until then files vanish under whoever looks through them."""
        names = ("trash", "trash-containers", "content/trash", "build/trash")
        places = [root / name for root in (self.data_root, self.exec_root) for name in names]
        return not any(place.is_dir() and any(place.iterdir()) for place in places)

    def command(self) -> list[str]:
        roots = ["--data-root", str(self.data_root), "--exec-root", str(self.exec_root)]
        recorder = [sys.executable, str(RECORDER), str(self.answers / self.directory.name)] if self.answers else None
        sampand = recorder or entry_point("sampand")
        return [*self._within, *sampand, *roots, "--host", self.host, "--pidfile", str(self.directory / "pid")]

    def sampan(
        self, *arguments: str, stdin: bytes = b"", timeout: float = ANSWER_SECONDS, env: dict[str, str] | None = None
    ) -> Outcome:
        """Sampan's own command against this daemon."""
        return self._execute([*entry_point("sampan"), *arguments], stdin, timeout, env)


class Docker(Daemon):
    """Debian's dockerd, in namespaces of its own."""

    kind = "dockerd"

    def command(self) -> list[str]:
        lo_up = 'ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run/docker 2>/dev/null || mkdir -p /run/docker; exec "$@"'
        roots = ["--data-root", str(self.data_root), "--exec-root", str(self.exec_root)]
        own = ["--bip", "10.213.7.1/24", "--cgroup-parent", f"/{self.directory.name}", "--storage-driver", "overlay2"]
        pidfile = ["--pidfile", str(self.directory / "pid")]
        return [
            *("unshare", "--net", "--mount", "sh", "-c", lo_up, "sh"),
            *("dockerd", "--host", self.host, *roots, *own, *pidfile),
        ]

    def remove(self) -> None:
        super().remove()
        for hierarchy in Path("/sys/fs/cgroup").glob(f"*/{self.directory.name}"):
            # BuildKit leaves one below.
            for left in sorted((path for path in hierarchy.rglob("*") if path.is_dir()), reverse=True):
                left.rmdir()
            hierarchy.rmdir()


def refused_start(*flags: str, within: tuple[str, ...] = ()) -> str:
    """What a Sampan says that ends at once because of its settings. Nothing of it is on the host afterwards."""
    never = Sampan(within)
    marks = (never.instance, str(never.directory))
    before = leaks.marked(*marks)
    try:
        done = subprocess.run(
            [*never.command(), *flags],
            capture_output=True,
            timeout=READY_SECONDS,
            check=False,
            env=scrubbed_environment(),
        )
        left = leaks.settled(lambda: leaks.marked(*marks), before)
    finally:
        never.remove()
        leaks.clear(never.instance)
    assert done.returncode != 0
    assert left == []
    return done.stderr.decode()


@contextmanager
def running_sampan(*flags: str, within: tuple[str, ...] = ()) -> Iterator[Sampan]:
    """A started private Sampan without images. On leaving it is stopped and the host searched for what it left."""
    sampan = Sampan(within)
    marks = (sampan.instance, str(sampan.directory))
    before = leaks.marked(*marks)
    try:
        sampan.start(*flags)
        yield sampan
    except Exception as error:
        error.add_note(f"its log ends:\n{sampan.log_tail()}")
        raise
    finally:
        try:
            sampan.remove()
        finally:
            left = leaks.settled(lambda: leaks.marked(*marks), before)
            leaks.clear(sampan.instance)
    assert left == [], "\n".join([f"left behind by the engine of {sampan.directory}:", *left])


@contextmanager
def running_docker(*flags: str) -> Iterator[Docker]:
    """A started dockerd without images, removed on leaving."""
    docker = Docker()
    try:
        docker.start(*flags)
        yield docker
    finally:
        docker.remove()


def scrubbed_environment() -> dict[str, str]:
    """The environment without anyone's Docker settings, with the programs of /usr/sbin and this tree's package."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "SAMPAN_", "COMPOSE_", "PYTHON"))}
    return {**kept, "PATH": kept.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin", "PYTHONPATH": str(SOURCE)}


def entry_point(name: str) -> list[str]:
    """The installed command of the environment that runs the tests; without one, its module."""
    installed = Path(sys.executable).parent / name
    modules = {"sampan": "sampan.cli_main", "sampand": "sampan.daemon_main", "sampan-oci": "sampan.oci.command"}
    module = modules[name]
    return (
        [str(installed)]
        if installed.exists()
        else [sys.executable, "-c", f"import {module} as m; raise SystemExit(m.main())"]
    )
