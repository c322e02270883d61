"""`docker stats` on real containers: figures that are true, one sampler for all, and nothing left open behind it."""

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.api.scenes import Box
from tests.daemons import Outcome, Sampan, entry_point, scrubbed_environment
from tests.requires import requires
from tests.terminals import Terminal
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox", "docker-client", "cgroup:memory", "cgroup:pids")

MB = 1 << 20
QUIET = {"NetworkMode": "none"}
ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


@pytest.fixture
def client(engine: Sampan) -> Iterator[docker.DockerClient]:
    made = docker.from_env(environment={"DOCKER_HOST": engine.host})
    yield made
    made.close()


def one(engine: Sampan, name: str, query: str = "stream=0") -> dict[str, Any]:
    answer = engine.api("GET", f"/containers/{name}/stats?{query}")
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def opened(engine: Sampan, text: str) -> list[str]:
    """What the daemon has open whose path has `text` in it."""
    assert engine.process is not None
    directory = Path(f"/proc/{engine.process.pid}/fd")
    found = []
    for entry in directory.iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return [path for path in found if text in path]


def test_figures_are_true(engine: Sampan) -> None:
    program = "dd if=/dev/zero of=/dev/shm/x bs=1M count=8 2>/dev/null; sleep 1000 & while :; do :; done"
    box = Box(engine, "sh", "-c", program, name="busy", host={"Memory": 64 * MB, "PidsLimit": 50}).start()
    eventually(lambda: one(engine, "busy")["memory_stats"]["usage"] > 8 * MB, "its memory does not show")
    found = one(engine, "busy")
    assert (found["name"], found["id"]) == ("/busy", box.id)
    assert ZERO < found["preread"] < found["read"]
    cpu, before = found["cpu_stats"], found["precpu_stats"]
    assert cpu["cpu_usage"]["total_usage"] > before["cpu_usage"]["total_usage"] > 0
    assert cpu["system_cpu_usage"] > before["system_cpu_usage"] > 0
    assert cpu["online_cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    each = cpu["cpu_usage"].get("percpu_usage")
    assert each is None or sum(each) == pytest.approx(cpu["cpu_usage"]["total_usage"], rel=0.05)
    assert found["memory_stats"]["limit"] == 64 * MB
    assert found["memory_stats"]["stats"].keys() & {"cache", "file"}
    assert found["pids_stats"] == {"current": 2, "limit": 50}
    assert found["blkio_stats"].keys() >= {"io_service_bytes_recursive", "io_serviced_recursive", "sectors_recursive"}


def test_interfaces_are_those_of_its_own_network(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", name="wired").start()
    gateway = box.inspect()["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
    before = one(engine, "wired", "stream=0&one-shot=1")["networks"]
    assert before.keys() == {"eth0"}
    box.run("ping", "-c", "3", "-i", "0.1", "-s", "1000", gateway)
    after = one(engine, "wired", "stream=0&one-shot=1")["networks"]
    for way in ("rx", "tx"):
        assert after["eth0"][f"{way}_bytes"] - before["eth0"][f"{way}_bytes"] >= 3000
    joined = Box(engine, "sleep", "1000", name="joined", host={"NetworkMode": f"container:{box.id}"}).start()
    assert one(engine, joined.id, "stream=0&one-shot=1")["networks"]["eth0"]["tx_bytes"] >= after["eth0"]["tx_bytes"]
    for mode in ("none", "host"):
        other = Box(engine, "sleep", "1000", host={"NetworkMode": mode}).start()
        assert "networks" not in one(engine, other.id, "stream=0&one-shot=1")


def test_throttling_shows(engine: Sampan) -> None:
    Box(engine, "sh", "-c", "while :; do :; done", name="held", host={**QUIET, "NanoCpus": 50_000_000}).start()

    def throttled() -> bool:
        data = one(engine, "held", "stream=0&one-shot=1")["cpu_stats"]["throttling_data"]
        return bool(data["throttled_periods"] > 0 < data["throttled_time"])

    eventually(throttled, "nothing is throttled")


def test_one_shot_compares_with_nothing(engine: Sampan) -> None:
    Box(engine, "sleep", "1000", name="shot", host=QUIET).start()
    found = one(engine, "shot", "stream=0&one-shot=1")
    assert (found["preread"], found["precpu_stats"]["cpu_usage"]["total_usage"]) == (ZERO, 0)
    assert found["cpu_stats"]["system_cpu_usage"] > 0
    answer = engine.api("GET", "/containers/shot/stats?one-shot=1")
    assert (answer.status, answer.json()) == (400, {"message": "cannot have stream=true and one-shot=true"})
    old = json.loads(engine.api("GET", "/v1.40/containers/shot/stats?stream=0&one-shot=1").body)
    assert old["preread"] > ZERO
    assert engine.api("GET", "/containers/nosuch/stats").json() == {"message": "No such container: nosuch"}


def test_what_does_not_run_has_zeros_at_once(engine: Sampan) -> None:
    box = Box(engine, "true", name="made", host=QUIET)
    found = one(engine, "made")
    assert (found["read"], found["name"], found["id"]) == (ZERO, "/made", box.id)
    assert (found["memory_stats"], found["pids_stats"]) == ({}, {})


def test_a_stream_lives_through_a_restart_and_ends_with_the_removal(
    engine: Sampan, client: docker.DockerClient
) -> None:
    box = Box(engine, "sleep", "1000", name="lives", host=QUIET).start()
    frames = client.containers.get("lives").stats(stream=True, decode=True)
    first, second, third = itertools.islice(frames, 3)
    assert first["preread"] == ZERO < first["read"] == second["preread"] < second["read"] == third["preread"]
    box.engine.docker("stop", "-t", "0", "lives")
    ended = next(frame for frame in frames if frame["read"] == ZERO)
    assert ended["id"] == box.id
    box.start()
    again = next(frame for frame in frames if frame["read"] > ZERO)
    assert again["pids_stats"]["current"] == 1
    assert engine.docker("pause", "lives").code == 0
    assert next(frame for frame in frames if frame["read"] > again["read"])["pids_stats"]["current"] == 1
    box.remove()
    for _ in frames:
        pass
    assert next(frames, None) is None


def test_many_watch_one_sample_and_nothing_stays_open(engine: Sampan, client: docker.DockerClient) -> None:
    box = Box(engine, "sleep", "1000", name="star").start()
    container = client.containers.get("star")
    streams = [container.stats(stream=True, decode=True) for _ in range(8)]
    reads = [{frame["read"] for frame in itertools.islice(stream, 4)} for stream in streams]
    # All hear of the same samples; one that came late may have missed the first, one that is slow skips some.
    assert len(set().union(*reads)) <= 4 + len(streams)
    assert len(opened(engine, box.id)) <= 20
    assert len(opened(engine, "/net/dev")) == 1
    engine.docker("stop", "-t", "0", "star")
    eventually(lambda: opened(engine, "/net/dev") == [], "its network is held beyond its end")
    box.start()
    eventually(lambda: opened(engine, "/net/dev") != [], "it is not watched after its restart")
    for stream in streams:
        stream.close()
    client.close()
    eventually(
        lambda: opened(engine, box.id) == opened(engine, "/net/dev") == [], "files stay open though nobody watches"
    )


def at_once(engine: Sampan, line: tuple[str, ...]) -> list[Outcome]:
    """What Sampan's own command says and what Docker's does; each of them waits for samples."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda command: command(*line), (engine.sampan, engine.docker)))


def test_the_command_of_docker_and_sampans_own(engine: Sampan) -> None:
    Box(engine, "sleep", "1000", name="here", host={**QUIET, "Memory": 32 * MB}).start()
    Box(engine, "true", name="there", host=QUIET)
    form = "{{.Container}} {{.Name}} {{.MemPerc}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}"
    for words in (["here", "there"], ["-a", "--no-trunc"], []):
        line = ("stats", "--no-stream", "--format", form, *words)

        def same(line: tuple[str, ...] = line) -> bool:
            """What the kernel counts of a program that has just begun may change between the two."""
            ours, theirs = at_once(engine, line)
            assert (ours.code, ours.err, theirs.code) == (0, b"", 0)
            return ours.text.splitlines() == theirs.text.splitlines()

        eventually(same, f"sampan and docker differ: {line}")
    for words in (["here", "nosuch"], ["nosuch", "neither"], ["--format", "{{.Foo}}", "here"]):
        ours, theirs = at_once(engine, ("stats", "--no-stream", *words))
        assert (ours.code, ours.out) == (theirs.code, theirs.out)
        assert sorted(ours.err.splitlines()) == sorted(theirs.err.splitlines())
    table = engine.sampan("stats", "--no-stream", "here").text.splitlines()
    assert table[0] == "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS"
    assert "/ 32MiB" in table[1]


def test_a_table_that_is_drawn_anew(engine: Sampan) -> None:
    Box(engine, "sleep", "1000", name="first", host=QUIET).start()
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host, "TERM": "dumb"}
    with Terminal([*entry_point("sampan"), "stats", "--format", "<{{.Name}} {{.PIDs}}>"], environment) as terminal:
        terminal.expect(b"\x1b[H<first 1>\x1b[K")
        second = Box(engine, "sleep", "1000", name="second", host=QUIET).start()
        terminal.expect(b"<second 1>\x1b[K")
        second.remove()
        terminal.expect(b"<first 1>\x1b[K\r\n\x1b[J")
        terminal.press(b"\x03")
        assert terminal.wait() == 130
