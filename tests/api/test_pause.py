"""Pause and unpause with real containers: what stands still, what others may still do, what a new daemon finds."""

import json
import resource
import time
from collections.abc import Iterator

import docker
import pytest

from tests.api.scenes import Box
from tests.daemons import Sampan, UnixConnection, running_sampan
from tests.requires import requires
from tests.squeezing import limited
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

COUNTER = ("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
QUIET = {"NetworkMode": "none"}


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def counter(engine: Sampan, name: str) -> Box:
    box = Box(engine, *COUNTER, name=name, host=QUIET).start()
    eventually(lambda: box.logs() != "", "it does not count")
    return box


def obedient(engine: Sampan, signal: str, stop_signal: str = "") -> Box:
    """Ends with 7 when it hears `signal`."""
    program = f"trap 'exit 7' {signal}; echo ready; while :; do sleep 0.02; done"
    box = Box(engine, "sh", "-c", program, host=QUIET, StopSignal=stop_signal).start()
    eventually(lambda: box.logs() == "ready\n", "it is not ready")
    return box


def message(engine: Sampan, method: str, path: str, status: int, body: object = None) -> str:
    answer = engine.api(method, path, body)
    assert answer.status == status, answer.body
    return str(json.loads(answer.body)["message"])


def actions(engine: Sampan, box: Box) -> list[str]:
    """Docker's words for what happened to it, those of its making left out."""
    until = ("--since", "1", "--until", str(int(time.time()) + 1))
    told = engine.docker(
        "events", *until, "--format", "{{.Action}}", "-f", f"container={box.id}", "-f", "type=container"
    )
    assert told.code == 0, told
    return [word for word in told.text.split("\n") if word not in ("create", "start")]


def pause(engine: Sampan, box: Box) -> None:
    answer = engine.api("POST", f"/containers/{box.id}/pause")
    assert answer.status == 204, answer.body


def test_nothing_moves_and_then_goes_on(engine: Sampan) -> None:
    box = counter(engine, "still")
    outcome = engine.docker("pause", "still")
    assert (outcome.code, outcome.text) == (0, "still"), outcome
    before = box.logs()
    time.sleep(0.2)
    assert box.logs() == before
    assert {key: box.state()[key] for key in ("Status", "Running", "Paused", "Restarting", "Dead")} == {
        "Status": "paused", "Running": True, "Paused": True, "Restarting": False, "Dead": False,
    }  # fmt: skip
    assert engine.docker("ps", "--format", "{{.State}} {{.Status}}").text.endswith("(Paused)")
    assert engine.docker("ps", "-q", "--no-trunc", "--filter", "status=paused").text == box.id
    assert engine.docker("info", "--format", "{{.ContainersRunning}} {{.ContainersPaused}}").text == "0 1"
    assert engine.docker("unpause", "still").text == "still"
    eventually(lambda: box.logs() != before, "it does not go on")
    assert box.state()["Status"] == "running"
    assert actions(engine, box) == ["pause", "unpause"]


def test_refusals_are_dockers(engine: Sampan) -> None:
    box = counter(engine, "refusing")
    assert message(engine, "POST", "/containers/refusing/unpause", 500) == f"Container {box.id} is not paused"
    pause(engine, box)
    assert message(engine, "POST", "/containers/refusing/pause", 409) == f"Container {box.id} is already paused"
    assert (
        message(engine, "POST", "/containers/refusing/exec", 409, {"Cmd": ["true"]})
        == "Container refusing is paused, unpause the container before exec"
    )
    assert (
        message(engine, "POST", "/containers/refusing/attach?stream=1&stdout=1", 409)
        == f"container {box.id} is paused, unpause the container before attach"
    )
    assert (
        message(engine, "POST", "/containers/refusing/start", 409)
        == "cannot start a paused container, try unpause instead"
    )
    assert (
        message(engine, "DELETE", "/containers/refusing", 409)
        == 'cannot remove container "refusing": container is paused and must be unpaused first'
    )
    made = Box(engine, "true", name="made", host=QUIET)
    assert message(engine, "POST", "/containers/made/pause", 409) == f"container {made.id} is not running"
    assert message(engine, "POST", "/containers/nosuch/pause", 404) == "No such container: nosuch"
    assert message(engine, "POST", "/containers/nosuch/unpause", 404) == "No such container: nosuch"


def test_an_exec_made_before_the_pause_is_refused_too(engine: Sampan) -> None:
    box = counter(engine, "execs")
    made = json.loads(engine.api("POST", f"/containers/{box.id}/exec", {"Cmd": ["true"]}).body)["Id"]
    pause(engine, box)
    text = message(engine, "POST", f"/exec/{made}/start", 409, {"Detach": True})
    assert text == f"Container {box.id} is paused, unpause the container before exec"


def test_stop_of_a_paused_one_lets_it_obey(engine: Sampan) -> None:
    box = obedient(engine, "TERM")
    pause(engine, box)
    outcome = engine.docker("stop", "-t", "30", box.id)
    assert outcome.code == 0, outcome
    assert box.state()["ExitCode"] == 7
    assert actions(engine, box) == ["pause", "kill", "unpause", "die", "stop"]


def test_kill_remove_and_restart_of_a_paused_one(engine: Sampan) -> None:
    box = counter(engine, "victim")
    pause(engine, box)
    first = box.pid()
    assert engine.docker("restart", "-t", "0", "victim").code == 0
    assert (box.state()["Status"], box.pid() != first) == ("running", True)
    pause(engine, box)
    assert engine.docker("kill", "victim").text == "victim"
    assert (box.state()["Status"], box.state()["ExitCode"]) == ("exited", 137)
    box.start()
    pause(engine, box)
    assert engine.docker("rm", "-f", "victim").text == "victim"
    assert engine.api("GET", f"/containers/{box.id}/json").status == 404


def test_a_signal_that_is_no_wish_to_end_leaves_it_paused(engine: Sampan) -> None:
    box = obedient(engine, "USR1", "SIGUSR1")
    pause(engine, box)
    assert engine.api("POST", f"/containers/{box.id}/kill?signal=SIGWINCH").status == 204
    assert box.state()["Status"] == "paused"
    assert engine.api("POST", f"/containers/{box.id}/kill?signal=SIGUSR1").status == 204
    box.ended(7)


def test_wait_lasts_through_a_pause(engine: Sampan) -> None:
    client = docker.from_env(environment={"DOCKER_HOST": engine.host})
    try:
        container = client.containers.run("busybox", ["sh", "-c", "read x; exit 3"], detach=True, stdin_open=True)
        container.pause()
        container.reload()
        assert container.status == "paused"
        attached = docker.errors.APIError
        with pytest.raises(attached, match="unpause the container before attach"):
            container.attach_socket()
        container.unpause()
        socket = container.attach_socket(params={"stdin": 1, "stream": 1})
        socket._sock.sendall(b"x\n")
        assert container.wait()["StatusCode"] == 3
        socket._sock.close()
        socket.close()
    finally:
        client.close()


def test_sampans_own_command(engine: Sampan) -> None:
    box = counter(engine, "own")
    outcome = engine.sampan("pause", "own", "nosuch")
    assert (outcome.code, outcome.text) == (1, "own")
    assert b"No such container: nosuch" in outcome.err
    assert engine.sampan("container", "unpause", box.id).text == box.id
    assert engine.sampan("unpause", "own").code == 1


def thaw(box: Box) -> None:
    """As if the daemon had died between letting it go on and saying so."""
    groups = box.groups()
    frozen = [group / "cgroup.freeze" for group in groups if (group / "cgroup.freeze").exists()]
    for file in frozen:
        file.write_text("0")
    for group in [] if frozen else [group for group in groups if (group / "freezer.state").exists()]:
        (group / "freezer.state").write_text("THAWED")


def test_a_paused_one_is_found_paused_by_the_next_daemon() -> None:
    with running_sampan() as sampan:
        sampan.load_busybox()
        box, other = counter(sampan, "kept"), counter(sampan, "moved")
        pause(sampan, box)
        pause(sampan, other)
        sampan.kill()
        thaw(other)
        sampan.start()
        before = box.logs()
        assert (box.state()["Status"], other.state()["Status"]) == ("paused", "running")
        assert box.logs() == before
        assert sampan.docker("unpause", "kept").code == 0
        eventually(lambda: box.logs() != before, "it does not go on")
        pause(sampan, box)
        assert sampan.docker("rm", "-f", "kept", "moved").code == 0


def test_a_daemon_without_descriptors_lets_it_go_on(engine: Sampan) -> None:
    """A commit pauses, reads and lets go on; the last must not fail for what the reading took."""
    box = counter(engine, "goes-on")
    assert engine.process is not None
    connection = UnixConnection(engine.socket, 20)
    try:
        connection.request("POST", f"/containers/{box.id}/pause")
        assert connection.getresponse().read() == b""
        # What is open stays so, nothing more is opened.
        with limited(engine.process.pid, resource.RLIMIT_NOFILE, 0):
            connection.request("POST", f"/containers/{box.id}/unpause")
            answer = connection.getresponse()
            told = answer.read()
        assert answer.status == 204, told
    finally:
        connection.close()
    assert box.state()["Status"] == "running"
    seen = box.logs()
    eventually(lambda: box.logs() != seen, "it does not count")
