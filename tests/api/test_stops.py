"""Stop and kill on the real kernel: which signal, how long it may take, and what is told of it."""

import json
import subprocess
import time
from typing import Any

import pytest

from tests.api.scenes import FOREVER, Box
from tests.daemons import Answer, Sampan, entry_point, scrubbed_environment
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox")

HOST = {"NetworkMode": "none"}


def trapping(engine: Sampan, *names: str, **config: Any) -> Box:
    """A container that ends with the number of the first of these signals that it gets, and is deaf to all others."""
    traps = "; ".join(f"trap 'exit {number}' {name}" for number, name in enumerate(names, 1))
    box = Box(engine, "sh", "-c", f"{traps}; echo ready; while :; do sleep 0.05; done", host=HOST, **config).start()
    eventually(lambda: "ready" in box.logs(), "it does not begin")
    return box


def post(box: Box, verb: str) -> Answer:
    return box.engine.api("POST", f"/containers/{box.id}/{verb}")


def signals(box: Box) -> list[str]:
    """What was told of signals sent to it."""
    filters = json.dumps({"container": [box.id], "event": ["kill"]}, separators=(",", ":"))
    told = box.engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters={filters}").body.splitlines()
    return [json.loads(line)["Actor"]["Attributes"]["signal"] for line in told]


@pytest.mark.parametrize(
    ("config", "query", "code", "sent"),
    [
        ({}, "", 1, ["15"]),
        ({"StopSignal": "INT"}, "", 2, ["2"]),
        ({"StopSignal": "SIGUSR1"}, "", 3, ["10"]),
        ({"StopSignal": "12"}, "", 4, ["12"]),
        ({"StopSignal": "INT"}, "?signal=USR2", 4, ["12"]),
        ({"StopSignal": "WINCH"}, "?t=0", 137, ["28", "9"]),
        ({"StopSignal": "WINCH", "StopTimeout": 0}, "", 137, ["28", "9"]),
        ({"StopSignal": "WINCH", "StopTimeout": 1000}, "?t=1", 137, ["28", "9"]),
    ],
)
def test_which_signal_stops_it(
    engine: Sampan, config: dict[str, object], query: str, code: int, sent: list[str]
) -> None:
    box = trapping(engine, "TERM", "INT", "USR1", "USR2", **config)
    assert post(box, f"stop{query}").status == 204
    assert box.state()["ExitCode"] == code
    assert signals(box) == sent
    box.remove()


@pytest.mark.parametrize("where", ["query", "config"])
def test_a_negative_time_is_no_end_of_patience(engine: Sampan, where: str) -> None:
    box = trapping(engine, "USR1", StopSignal="WINCH", **({"StopTimeout": -1} if where == "config" else {}))
    words = [*entry_point("sampan"), "stop", *(["-t", "-1"] if where == "query" else []), box.id]
    environment = {**scrubbed_environment(), "DOCKER_HOST": engine.host}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as waiting:
        eventually(lambda: signals(box) == ["28"], "no signal")
        assert post(box, "kill?signal=USR1").status == 204
        assert waiting.wait(60) == 0
    assert box.state()["ExitCode"] == 1
    assert signals(box) == ["28", "10"]
    box.remove()


@requires("docker-client")
def test_stop_timeout_of_the_command_is_kept(engine: Sampan) -> None:
    flags = ["--stop-timeout", "7", "--stop-signal", "SIGUSR1", "--name"]
    for command, name in ((engine.docker, "theirs"), (engine.sampan, "ours")):
        assert command("create", *flags, name, "busybox", "true").code == 0
    for name in ("theirs", "ours"):
        config = json.loads(engine.api("GET", f"/containers/{name}/json").body)["Config"]
        assert (config["StopTimeout"], config["StopSignal"]) == (7, "SIGUSR1")
        engine.docker("rm", name)


@pytest.mark.parametrize(
    ("name", "number"), [("HUP", 1), ("SIGHUP", 1), ("hup", 1), ("1", 1), ("RTMIN+3", 37), ("SIGRTMAX-2", 62)]
)
def test_every_form_of_a_signals_name(engine: Sampan, name: str, number: int) -> None:
    box = Box(engine, *FOREVER, host=HOST).start()
    assert post(box, f"kill?signal={name.replace('+', '%2B')}").status == 204
    assert signals(box) == [str(number)]
    assert box.state()["Running"], "a first process that does not ask for it is not hurt"
    box.remove()


@pytest.mark.parametrize("name", ["NOPE", "0", "-1", "99", "SIG", "RTMIN+40"])
def test_what_is_no_signal(engine: Sampan, name: str) -> None:
    box = Box(engine, *FOREVER, host=HOST).start()
    answer = post(box, f"kill?signal={name.replace('+', '%2B')}")
    assert answer.status == 400
    assert f"invalid signal: {name}" in answer.body.decode()
    assert box.state()["Running"]
    box.remove()


def test_what_does_not_run(engine: Sampan) -> None:
    box = Box(engine, *FOREVER, host=HOST)
    for _ in range(2):
        assert post(box, "stop").status == 304
        answer = post(box, "kill")
        assert answer.status == 409
        assert answer.json() == {"message": f"cannot kill container: {box.id}: container {box.id} is not running"}
        box.start()
        assert post(box, "kill").status == 204
    box.remove()


def test_a_paused_one_hears_its_stop_signal(engine: Sampan) -> None:
    box = trapping(engine, "TERM")
    assert post(box, "pause").status == 204
    assert post(box, "stop").status == 204
    assert box.state()["ExitCode"] == 1
    box.remove()


def test_restart_obeys_signal_and_time(engine: Sampan) -> None:
    box = trapping(engine, "USR1", StopSignal="WINCH")
    assert post(box, "restart?signal=USR1").status == 204
    eventually(lambda: box.logs().count("ready") == 2, "it does not begin again")
    assert post(box, "restart?t=0").status == 204
    assert signals(box) == ["10", "28", "9"]
    box.remove()
