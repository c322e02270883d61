"""What is measured, one function each: it takes a running engine and gives samples or a figure."""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import host
from bench.samples import Samples, timed
from bench.wire import Reader, Wire, hijacked
from tests.daemons import Daemon, Sampan, scrubbed_environment

PAUSE = 0.020
"""Between two starts: back to back, the cost of control group moves is hidden."""


def _spec(network: str, *command: str, **host: object) -> dict[str, object]:
    return {"Image": "busybox", "Cmd": list(command), "HostConfig": {"NetworkMode": network, **host}}


def _identity(answer: bytes) -> str:
    return str(json.loads(answer)["Id"])


def one_life(wire: Wire, network: str, **host: object) -> tuple[float, float]:
    """Create, start, wait and remove busybox `true`: seconds from create to exit, and of all."""
    began = time.perf_counter()
    container = _identity(wire.good("POST", "/containers/create", _spec(network, "true", **host)))
    wire.good("POST", f"/containers/{container}/start")
    ended = wire.good("POST", f"/containers/{container}/wait")
    exited = time.perf_counter() - began
    wire.good("DELETE", f"/containers/{container}")
    if json.loads(ended)["StatusCode"] != 0:
        raise RuntimeError(f"true ended with {ended!r}")
    return exited, time.perf_counter() - began


def lives(engine: Daemon, network: str, repetitions: int) -> tuple[Samples, Samples]:
    """(create → exit, whole lives), starts 20 ms apart on one connection; the first three warm up."""
    wire = Wire(str(engine.socket))
    taken = []
    for _ in range(repetitions + 3):
        time.sleep(PAUSE)
        taken.append(one_life(wire, network))
    wire.close()
    kept = taken[3:]
    return Samples(tuple(exited for exited, _ in kept)), Samples(tuple(whole for _, whole in kept))


def in_turns(engines: Sequence[Daemon], hosts: Sequence[dict[str, object]], repetitions: int) -> list[Samples]:
    """create → exit on the bridge for several forms of a container, in turns: what else the machine does is for all alike."""
    wires = [Wire(str(engine.socket)) for engine in engines]
    taken: list[list[float]] = [[] for _ in hosts]
    for _ in range(repetitions + 3):
        for wire, host_config, samples in zip(wires, hosts, taken, strict=True):
            time.sleep(5 * PAUSE)
            samples.append(one_life(wire, "bridge", **host_config)[0])
    for wire in wires:
        wire.close()
    return [Samples(tuple(samples[3:])) for samples in taken]


def command_line(engine: Daemon, program: list[str], network: str, repetitions: int) -> Samples:
    """`PROGRAM run --rm busybox true`, a new process each time."""
    command = [*program, "run", "--rm", "--network", network, "busybox", "true"]
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
    del environment["PYTHONPATH"]
    return timed(repetitions, lambda: subprocess.run(command, check=True, env=environment), PAUSE)


@contextmanager
def running(engine: Daemon, count: int, network: str) -> Iterator[list[str]]:
    """That many idle containers; removed at the end."""
    wire = Wire(str(engine.socket))
    identities = []
    try:
        for _ in range(count):
            identities.append(_identity(wire.good("POST", "/containers/create", _spec(network, "sleep", "100000"))))
            wire.good("POST", f"/containers/{identities[-1]}/start")
        yield identities
    finally:
        for identity in identities:
            wire.call("DELETE", f"/containers/{identity}?force=1")
        wire.close()


def execs(engine: Daemon, repetitions: int, pause: float) -> Samples:
    """Exec create, start (attached) and inspect of `true` in one running container."""
    with running(engine, 1, "none") as (container,):
        wire = Wire(str(engine.socket))

        def once() -> None:
            body: dict[str, object] = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
            identity = _identity(wire.good("POST", f"/containers/{container}/exec", body))
            hijacked(str(engine.socket), f"/exec/{identity}/start", {"Detach": False, "Tty": False})
            ended = json.loads(wire.good("GET", f"/exec/{identity}/json"))
            if ended["Running"] or ended["ExitCode"] != 0:
                raise RuntimeError(f"exec of true ended as {ended}")

        timed(3, once)
        taken = timed(repetitions, once, pause)
        wire.close()
    return taken


def at_once(engine: Daemon, containers: int, connections: int, network: str) -> float:
    """Lives a second when `connections` clients work off `containers` lives."""
    work: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(containers):
        work.put(number)
    failures: list[Exception] = []

    def client() -> None:
        wire = Wire(str(engine.socket))
        while True:
            try:
                work.get_nowait()
                one_life(wire, network)
            except queue.Empty:
                return
            except (RuntimeError, OSError) as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=client) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return containers / (time.perf_counter() - began)


def memory(engine: Daemon, count: int) -> tuple[int, float]:
    """(bytes of the idle engine, bytes for each idle container without the user's program), proportional set size."""
    assert engine.process is not None
    mark = str(engine.directory)
    time.sleep(1)
    before = host.processes_of(engine.process.pid, mark)
    idle = host.pss(before)
    with running(engine, count, "bridge") as identities:
        wire = Wire(str(engine.socket))
        programs = {json.loads(wire.good("GET", f"/containers/{one}/json"))["State"]["Pid"] for one in identities}
        wire.close()
        time.sleep(1)
        # As many processes are new as there are containers: a parked monitor that was taken has a new one in its place.
        loaded = host.pss(host.processes_of(engine.process.pid, mark) - programs - before)
    return idle, loaded / count


def ready_times(repetitions: int, kind: type[Daemon]) -> Samples:
    """From exec to the first answer of `/_ping`, on a data root of its own each time."""
    taken = []
    for _ in range(repetitions):
        daemon = kind()
        try:
            taken.append(daemon.start())
        finally:
            daemon.remove()
    return Samples(tuple(taken))


def flatness(engine: Sampan, counts: tuple[int, ...], repetitions: int) -> dict[int, Samples]:
    """Create → exit on the bridge while so many others run."""
    found = {}
    for count in counts:
        with running(engine, count, "bridge"):
            found[count] = lives(engine, "bridge", repetitions)[0]
    return found


def listing(engine: Daemon, count: int, repetitions: int) -> Samples:
    """`docker ps -a` with that many containers, made and not started."""
    wire = Wire(str(engine.socket))
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
    command = ["docker", "ps", "-a", "--format", "{{.ID}}"]
    identities = [_identity(wire.good("POST", "/containers/create", _spec("bridge", "true"))) for _ in range(count)]
    listed = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.split()
    if len(listed) != count:
        raise RuntimeError(f"{len(listed)} of {count} containers are listed")
    taken = timed(repetitions, lambda: subprocess.run(command, check=True, env=environment, capture_output=True), PAUSE)
    for identity in identities:
        wire.good("DELETE", f"/containers/{identity}")
    wire.close()
    return taken


def copies(engine: Daemon, files: int, repetitions: int) -> tuple[Samples, Samples]:
    """(`docker cp` of a tree of so many small files into a running container, and of it out again): real clients, real disks."""
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
    into, out = [], []
    with tempfile.TemporaryDirectory(prefix="bench-cp-") as place, running(engine, 1, "none") as (container,):
        tree = Path(place) / "tree"
        for number in range(files):
            directory = tree / f"d{number // 100}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"f{number}").write_bytes(b"x" * (number % 100 * 60 + 1))
        for number in range(repetitions):
            inside = f"{container}:/copy{number}"
            began = time.perf_counter()
            subprocess.run(["docker", "cp", "-q", str(tree), inside], check=True, env=environment)
            between = time.perf_counter()
            subprocess.run(["docker", "cp", "-q", inside, f"{place}/back"], check=True, env=environment)
            into.append(between - began)
            out.append(time.perf_counter() - between)
            found = sum(len(names) for _, _, names in os.walk(f"{place}/back"))
            if found != files:
                raise RuntimeError(f"{found} files of {files} came back")
            shutil.rmtree(f"{place}/back")
    return Samples(tuple(into)), Samples(tuple(out))


def log_rate(engine: Daemon, lines: int, driver: str) -> float:
    """Lines a second through a log driver, from start to exit."""
    wire = Wire(str(engine.socket))
    spec = _spec("none", "sh", "-c", f"yes | head -n {lines}")
    spec["HostConfig"] = {"NetworkMode": "none", "LogConfig": {"Type": driver, "Config": {}}}
    container = _identity(wire.good("POST", "/containers/create", spec))
    began = time.perf_counter()
    wire.good("POST", f"/containers/{container}/start")
    wire.good("POST", f"/containers/{container}/wait")
    taken = time.perf_counter() - began
    last = wire.good("GET", f"/containers/{container}/logs?stdout=1&tail=1")
    if not last.endswith(b"y\n"):
        raise RuntimeError(f"the log ends with {last!r}")
    wire.good("DELETE", f"/containers/{container}")
    wire.close()
    return lines / taken


def statistics(engine: Daemon, containers: int, watchers: int, seconds: float) -> float:
    """The share of one processor that an engine spends while its containers are idle and their statistics are streamed.

    Each container has `watchers` clients. What the engine spends without any is taken off.
    """
    assert engine.process is not None
    with running(engine, containers, "bridge") as identities:
        time.sleep(1)
        pids = host.processes_of(engine.process.pid, str(engine.directory))
        idle = _spent(pids, seconds)
        reader = Reader(str(engine.socket), [f"/containers/{one}/stats" for one in identities for _ in range(watchers)])
        try:
            reader.wait_for_all()
            before = reader.frames
            busy = _spent(pids, seconds)
            wanted = containers * watchers * seconds * 0.6
            if reader.frames - before < wanted:
                raise RuntimeError(f"{reader.frames - before} samples in {seconds} s, at least {wanted:.0f} were due")
        finally:
            reader.close()
    return busy - idle


def _spent(pids: set[int], seconds: float) -> float:
    """Processor time of some processes during `seconds`, as a share of that time."""
    before, began = host.processor_time(pids), time.perf_counter()
    time.sleep(seconds)
    return (host.processor_time(pids) - before) / (time.perf_counter() - began)
