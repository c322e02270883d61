"""The cause of every end, told by inspect and by the event: program, signal, memory, client, policy, daemon."""

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.scenes import Box, kill
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "cgroup:memory")

MB = 1 << 20
ALONE = {"NetworkMode": "none"}


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def cause(box: Box) -> dict[str, Any]:
    eventually(lambda: box.state()["Status"] == "exited", "it does not end")
    found = box.state()["ExitCause"]
    assert isinstance(found, dict)
    return found


def told(box: Box, action: str) -> list[dict[str, str]]:
    """The attributes of its events of a kind."""
    filters = quote(json.dumps({"container": [box.id], "event": [action]}))
    answer = box.engine.api("GET", f"/events?since=1&until={time.time():.6f}&filters={filters}")
    return [json.loads(line)["Actor"]["Attributes"] for line in answer.body.splitlines()]


def test_before_the_first_end_there_is_none(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host=ALONE).start()
    assert "ExitCause" not in box.state()


def test_its_own_exit(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "exit 3", host=ALONE).start()
    assert cause(box) == {
        "Kind": "exited",
        "Text": "exited with 3",
        "ExitCode": 3,
        "Signal": "",
        "Health": "",
        "Restart": {"Policy": "no", "Again": False, "Delay": 0.0, "Count": 0},
        "Daemon": "heard",
    }
    assert told(box, "die")[0]["cause"] == "exited with 3"


def test_a_signal_of_its_own(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "kill -SEGV $$; sleep 5", host={**ALONE, "Init": True}).start()
    # A reaper passes on what it is told of its child: 128 and the signal's number.
    assert cause(box)["ExitCode"] == 139


def test_out_of_memory(engine: Sampan) -> None:
    host = {**ALONE, "Memory": 16 * MB, "MemorySwap": 16 * MB}
    box = Box(engine, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1", host=host).start()
    found = cause(box)
    assert (found["Kind"], found["Signal"], found["ExitCode"]) == ("oom", "SIGKILL", 137)
    memory = found["Memory"]
    assert (memory["Kills"], memory["Limit"]) == (1, 16 * MB)
    assert 12 * MB < memory["Peak"] <= 16 * MB
    assert memory["Victims"].startswith("dd (")
    assert "out of memory (limit 16.0 MiB" in found["Text"]
    assert told(box, "oom")[0]["victims"] == memory["Victims"]


def test_a_child_that_was_killed_is_named_at_once(engine: Sampan) -> None:
    host = {**ALONE, "Memory": 16 * MB, "MemorySwap": 16 * MB}
    eat = "sleep 1; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000"
    box = Box(engine, "sh", "-c", eat, host=host).start()
    eventually(lambda: told(box, "oom"), "nothing is told")
    assert told(box, "oom")[0]["victims"].startswith("dd (")
    assert engine.api("POST", f"/containers/{box.id}/stop?t=0").status == 204
    found = cause(box)
    assert (found["Kind"], found["Memory"]["Kills"]) == ("signal", 1)
    assert "the kernel had killed dd (" in found["Text"]
    assert found["Text"].endswith("after stop sent SIGKILL")


@pytest.mark.parametrize(
    ("path", "verb", "sent", "code"),
    [
        ("stop?t=0", "stop", "SIGKILL", 137),
        ("stop?signal=USR1", "stop", "SIGUSR1", 9),
        ("kill?signal=USR1", "kill", "SIGUSR1", 9),
        ("kill", "kill", "SIGKILL", 137),
        ("restart?t=0", "restart", "SIGKILL", 137),
    ],
)
def test_what_a_client_asked_for(engine: Sampan, path: str, verb: str, sent: str, code: int) -> None:
    program = "trap '' TERM; trap 'exit 9' USR1; echo up; while :; do sleep 0.1; done"
    config = {"StopSignal": "SIGUSR1"} if "USR1" in path else {}
    box = Box(engine, "sh", "-c", program, host=ALONE, **config).start()
    eventually(lambda: b"up" in engine.api("GET", f"/containers/{box.id}/logs?stdout=1").body, "it is not up")
    assert engine.api("POST", f"/containers/{box.id}/{path}").status == 204
    eventually(lambda: box.state().get("ExitCause"), "it did not end")
    found = box.state()["ExitCause"]
    assert (found["ExitCode"], found["Request"]["Verb"], found["Request"]["Signal"]) == (code, verb, sent)
    assert found["Request"]["At"].startswith("20")


def test_what_the_policy_made_of_it(engine: Sampan) -> None:
    host = {**ALONE, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    box = Box(engine, "sh", "-c", "exit 4", host=host).start()
    eventually(lambda: len(told(box, "die")) == 3, "not three runs")
    found = cause(box)
    assert found["Restart"] == {"Policy": "on-failure:2", "Again": False, "Delay": 0.0, "Count": 2}


def test_a_program_that_cannot_be_started(engine: Sampan) -> None:
    box = Box(engine, "/nosuch", host=ALONE)
    assert engine.api("POST", f"/containers/{box.id}/start").status == 400
    found = box.state()["ExitCause"]
    assert (found["Kind"], found["ExitCode"]) == ("not-started", 127)
    assert "/nosuch" in found["Text"]


def test_what_a_later_daemon_found() -> None:
    with running_sampan() as engine:
        engine.load_busybox()
        quiet = Box(engine, "sh", "-c", "trap 'exit 6' USR1; echo up; while :; do sleep 0.1; done", host=ALONE).start()
        eventually(lambda: b"up" in engine.api("GET", f"/containers/{quiet.id}/logs?stdout=1").body, "it is not up")
        program = quiet.pid()
        orphan = Box(engine, "sleep", "1000", host=ALONE).start()
        monitor = orphan.monitor()
        engine.kill()
        kill(monitor)
        os.kill(program, signal.SIGUSR1)
        eventually(lambda: "exit" in (engine.exec_root / f"containers/{quiet.id}/record.json").read_text(), "no exit")
        engine.start()
        assert (cause(quiet)["Daemon"], cause(quiet)["Text"]) == ("found", "exited with 6")
        assert (cause(orphan)["Kind"], cause(orphan)["Daemon"]) == ("monitor-lost", "monitor-lost")
