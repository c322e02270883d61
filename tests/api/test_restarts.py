"""Restart policies on the real kernel: back-off, verbs on a container that waits, and what a later daemon makes of it all.

Times are only ever compared with the least that a policy allows: a slow machine changes nothing.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.scenes import FOREVER, Box, kill
from tests.daemons import Answer, Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox")

ALWAYS = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}
UNLESS = {"NetworkMode": "none", "RestartPolicy": {"Name": "unless-stopped"}}
_LONG_WAIT = 7
"""Restarts after which the next one is more than twelve seconds away."""


def failing(engine: Sampan, host: object, name: str = "") -> Box:
    return Box(engine, "sh", "-c", "echo ran; exit 3", host=host, name=name).start()


def count(box: Box) -> int:
    return int(box.inspect()["RestartCount"])


def waits(box: Box, restarts: int) -> bool:
    return count(box) >= restarts and bool(box.state()["Restarting"])


def post(box: Box, verb: str) -> Answer:
    return box.engine.api("POST", f"/containers/{box.id}/{verb}")


def times(box: Box, action: str) -> list[float]:
    """When the container did so, in seconds."""
    filters = json.dumps({"container": [box.id], "event": [action]}, separators=(",", ":"))
    answer = box.engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters={filters}")
    return [json.loads(line)["timeNano"] / 1e9 for line in answer.body.splitlines()]


def test_each_restart_waits_twice_as_long(engine: Sampan) -> None:
    box = failing(engine, ALWAYS)
    eventually(lambda: waits(box, 4), "it is not restarted")
    starts, ends = times(box, "start"), times(box, "die")
    waited = [start - end for start, end in zip(starts[1:], ends, strict=False)]
    assert all(wait >= 0.095 * 2**number for number, wait in enumerate(waited)), waited
    assert box.logs().count("ran\n") == len(starts)
    box.remove()


def test_a_start_by_hand_begins_to_count_again(engine: Sampan) -> None:
    limited = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}}
    box = failing(engine, limited)
    for _ in range(2):
        eventually(lambda: box.state()["Status"] == "exited", "it does not give up")
        assert (count(box), box.state()["ExitCode"]) == (1, 3)
        box.start()
    box.remove()


def test_no_restart_where_the_program_ends_well(engine: Sampan) -> None:
    box = Box(engine, "true", host={"RestartPolicy": {"Name": "on-failure"}}).start()
    box.ended(0)
    assert count(box) == 0
    box.remove()


@pytest.fixture(scope="module")
def waiting(engine: Sampan) -> Iterator[dict[str, Box]]:
    """Containers that wait long for their next restart."""
    named = failing(engine, {**ALWAYS, "LogConfig": {"Type": "json-file"}}, "asked")
    boxes = {"asked": named, **{verb: failing(engine, ALWAYS) for verb in ("stop", "kill", "remove", "signalled")}}
    deaf = Box(engine, "sh", "-c", "exit 3", host=ALWAYS, StopSignal="INT")
    boxes["deaf"] = deaf.start()
    for box in boxes.values():
        eventually(lambda box=box: waits(box, _LONG_WAIT), "it is not restarted", 120)  # type: ignore[misc]
    yield boxes
    for box in boxes.values():
        box.remove()


def test_what_inspect_says_of_one_that_waits(waiting: dict[str, Box]) -> None:
    state = waiting["asked"].state()
    assert (state["Status"], state["Running"], state["Restarting"]) == ("restarting", True, True)
    assert (state["Pid"], state["ExitCode"]) == (0, 3)


@requires("docker-client")
def test_what_the_command_says_of_one_that_waits(engine: Sampan, waiting: dict[str, Box]) -> None:
    assert waiting["asked"].state()["Restarting"]
    assert "Restarting (3)" in engine.docker("ps", "--filter", "status=restarting", "--filter", "name=asked").text
    assert engine.docker("logs", "--tail", "1", "asked").out == b"ran\n"
    attached = engine.docker("attach", "asked")
    assert b"You cannot attach to a restarting container, wait until it is running" in attached.err
    assert engine.docker("start", "asked").code == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "start", None, 304, ""),
        ("POST", "exec", {"Cmd": ["true"]}, 409, "Container {id} is restarting, wait until the container is running"),
        ("POST", "attach?stream=1&stdout=1", None, 409, "is restarting, wait until the container is running"),
        ("DELETE", "", None, 409, "container is restarting: stop the container before removing or force remove"),
    ],
)
def test_verbs_on_one_that_waits(
    engine: Sampan, waiting: dict[str, Box], method: str, path: str, body: object, status: int, message: str
) -> None:
    box = waiting["asked"]
    assert box.state()["Restarting"]
    answer = engine.api(method, f"/containers/{box.id}/{path}".rstrip("/"), body)
    assert answer.status == status, answer.body
    assert message.format(id=box.id) in answer.body.decode()


def stays_down(box: Box, restarts: int) -> None:
    assert box.state()["Status"] == "exited"
    assert (count(box), box.state()["ExitCode"]) == (restarts, 3)


@pytest.mark.parametrize(("box", "verb"), [("stop", "stop"), ("kill", "kill"), ("signalled", "kill?signal=HUP")])
def test_a_restart_that_waits_is_called_off(waiting: dict[str, Box], box: str, verb: str) -> None:
    one = waiting[box]
    restarts = count(one)
    assert post(one, verb).status == 204
    stays_down(one, restarts)
    assert times(one, "kill") == [], "nothing ran that could have been killed"
    assert len(times(one, "stop")) == (verb == "stop")


def test_another_signal_than_its_own_calls_nothing_off(waiting: dict[str, Box]) -> None:
    assert post(waiting["deaf"], "kill?signal=HUP").status == 204
    assert waiting["deaf"].state()["Restarting"]


def test_one_that_waits_is_removed_by_force(engine: Sampan, waiting: dict[str, Box]) -> None:
    assert engine.api("DELETE", f"/containers/{waiting['remove'].id}?force=1").status == 204


def test_wait_is_answered_by_the_end_between_two_runs(engine: Sampan) -> None:
    box = failing(engine, ALWAYS)
    assert post(box, "wait").json() == {"StatusCode": 3}
    box.remove()


def test_a_container_that_goes_with_its_run_has_no_policy(engine: Sampan) -> None:
    host = {"AutoRemove": True, "RestartPolicy": {"Name": "always"}}
    answer = engine.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert answer.status == 400
    assert answer.json() == {"message": "can't create 'AutoRemove' container with restart policy"}
    both = engine.sampan("run", "--rm", "--restart", "always", "busybox")
    assert (both.code, b"conflicting options: cannot specify both --restart and --rm" in both.err) == (125, True)


def test_a_daemon_that_was_killed_is_followed_by_one_that_waits_on(engine: Sampan) -> None:
    box = failing(engine, ALWAYS)
    eventually(lambda: waits(box, 5), "it is not restarted")
    before = count(box)
    engine.kill()
    engine.start()
    assert box.state()["ExitCode"] == 3, "the end of the last run is no end of the machine"
    eventually(lambda: waits(box, before + 1), "it is not restarted")
    starts = times(box, "start")
    # From the end of the program on, of which the daemon is told a little later.
    assert starts[-1] - times(box, "die")[-2] >= 0.5 * 0.1 * 2 ** (before - 1), "the delay goes on from where it was"
    box.remove()


def test_an_exit_that_nobody_heard_is_followed_by_a_restart(engine: Sampan) -> None:
    box = Box(engine, *FOREVER, host=ALWAYS).start()
    pid = box.pid()
    engine.kill()
    kill(pid)
    engine.start()
    eventually(lambda: box.pid() not in (0, pid), "not restarted")
    assert count(box) == 1
    box.remove()


def ends_with_the_machine(engine: Sampan, boxes: dict[str, Box]) -> None:
    """What a power failure leaves: no process, and records that are of no use."""
    running = [box for box in boxes.values() if box.state()["Running"]]
    processes = [(box.monitor(), box.pid()) for box in running]
    engine.kill()
    for monitor, pid in processes:
        kill(monitor)
        kill(pid)
    for box in boxes.values():
        shutil.rmtree(engine.exec_root / "containers" / box.id, ignore_errors=True)
    engine.start()


@pytest.mark.parametrize("how", ["orderly", "killed", "machine"])
def test_what_comes_back_with_the_daemon(how: str) -> None:
    # The programs are deaf to SIGTERM.
    flags = ("--live-restore=false", "--shutdown-timeout=1") if how == "orderly" else ()
    with running_sampan(*flags) as own:
        own.load_busybox()
        boxes = {
            "always": Box(own, *FOREVER, host=ALWAYS).start(),
            "always, stopped": Box(own, *FOREVER, host=ALWAYS).start(),
            "unless": Box(own, *FOREVER, host=UNLESS).start(),
            "unless, stopped": Box(own, *FOREVER, host=UNLESS).start(),
            "failed": Box(own, *FOREVER, host={"RestartPolicy": {"Name": "on-failure"}}).start(),
            "no": Box(own, *FOREVER, host={"NetworkMode": "none"}).start(),
            "never started": Box(own, *FOREVER, host=ALWAYS),
        }
        for name in ("always, stopped", "unless, stopped"):
            assert post(boxes[name], "stop?t=0").status == 204
        if how == "orderly":
            own.stop()
            own.start(*flags)
        elif how == "killed":
            own.kill()
            own.start()
        else:
            ends_with_the_machine(own, boxes)
        for name in ("always", "always, stopped", "unless", "failed"):
            eventually(lambda name=name: boxes[name].state()["Status"] == "running", f"{name}: not started")  # type: ignore[misc]
        assert boxes["unless, stopped"].state()["Status"] == "exited"
        assert boxes["never started"].state()["Status"] == "created"
        assert (boxes["no"].state()["Status"] == "running") == (how == "killed")
        assert [count(box) for box in boxes.values()] == [0] * len(boxes)


def test_to_unless_stopped_any_signal_is_a_stop(engine: Sampan) -> None:
    """As in Docker: a container with a stop signal of its own that was sent another one, and ends later by itself."""
    shell = ("sh", "-c", "trap : HUP; while :; do sleep 0.1; done")
    box = Box(engine, *shell, host=UNLESS, StopSignal="TERM").start()
    other = Box(engine, *shell, host=ALWAYS, StopSignal="TERM").start()
    for one in (box, other):
        assert post(one, "kill?signal=HUP").status == 204
        os.kill(one.pid(), signal.SIGKILL)
    box.ended(137)
    eventually(lambda: count(other) == 1, "always does not look at who was signalled")
    for one in (box, other):
        one.remove()


def last_die(box: Box) -> dict[str, Any]:
    """Attributes of its last end."""
    filters = json.dumps({"container": [box.id], "event": ["die"]}, separators=(",", ":"))
    answer = box.engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters={filters}")
    found = json.loads(answer.body.splitlines()[-1])["Actor"]["Attributes"]
    assert isinstance(found, dict)
    return found


def test_a_restart_by_hand_is_no_restart_of_the_policy(engine: Sampan) -> None:
    box = Box(engine, *FOREVER, host=UNLESS).start()
    assert post(box, "restart?t=0").status == 204
    assert (count(box), box.state()["Status"]) == (0, "running")
    assert last_die(box)["exitCode"] == "137"
    os.kill(box.pid(), signal.SIGKILL)
    eventually(lambda: count(box) == 1, "what was restarted by hand counts as running on")
    box.remove()
