"""`docker top` on real containers: only their own processes, with the columns and the words of Docker."""

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import docker
import pytest

from tests.agreement import agree
from tests.api.scenes import Box
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

QUIET = {"NetworkMode": "none"}


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def top(engine: Sampan, name: str, ps_args: str = "", status: int = 200) -> Any:
    answer = engine.api("GET", f"/containers/{name}/top?ps_args={ps_args}".replace(" ", "%20"))
    assert answer.status == status, answer.body
    return answer.json()


def test_the_processes_of_the_container_and_no_others(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "sleep 1001 & sleep 1002 & wait", name="several", host=QUIET).start()
    other = Box(engine, "sleep", "1003", host=QUIET).start()
    eventually(lambda: len(top(engine, "several")["Processes"]) == 3, "its children do not show")
    found = top(engine, "several")
    assert found["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    rows = [dict(zip(found["Titles"], row, strict=True)) for row in found["Processes"]]
    assert {row["CMD"] for row in rows} == {"sh -c sleep 1001 & sleep 1002 & wait", "sleep 1001", "sleep 1002"}
    assert {row["UID"] for row in rows} == {"root"}
    assert [row["PID"] for row in rows if row["CMD"].startswith("sh")] == [str(box.pid())]
    assert {row["PPID"] for row in rows if row["CMD"].startswith("sleep")} == {str(box.pid())}
    assert other.id != box.id


def test_dockers_command_and_py(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1001", name="one", host=QUIET, User="12345").start()
    engine.docker("exec", "-d", "-u", "0", "one", "sleep", "1004")
    eventually(lambda: len(top(engine, "one")["Processes"]) == 2, "the exec does not show")
    lines = engine.docker("top", "one", "-o", "pid,uid,user,args").text.splitlines()
    assert lines[0].split() == ["PID", "UID", "USER", "COMMAND"]
    assert [line.split()[1:] for line in lines[1:]] == [
        ["12345", "12345", "sleep", "1001"],
        ["0", "root", "sleep", "1004"],
    ]
    client = docker.from_env(environment={"DOCKER_HOST": engine.host})
    try:
        found = client.containers.get("one").top(ps_args="aux")
    finally:
        client.close()
    assert found["Titles"][:2] == ["USER", "PID"]
    assert found["Processes"][0][1] == str(box.pid())


def test_a_paused_one_has_processes_too_and_an_event_tells(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1001", name="quiet", host=QUIET).start()
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    assert len(top(engine, "quiet", "-o pid")["Processes"]) == 1
    until = str(int(time.time()) + 1)
    told = engine.docker("events", "--since", "1", "--until", until, "-f", "event=top", "--format", "{{.Actor.ID}}")
    assert box.id in told.text.split()


def test_refusals(engine: Sampan) -> None:
    made = Box(engine, "true", name="made", host=QUIET)
    assert top(engine, "made", status=409)["message"] == f"container {made.id} is not running"
    assert top(engine, "nosuch", status=404)["message"] == "No such container: nosuch"
    Box(engine, "sleep", "1001", name="up", host=QUIET).start()
    assert top(engine, "up", "-o comm", 500)["message"] == "Couldn't find PID field in ps output"
    assert top(engine, "up", " -o ppid=PID", 500)["message"] == 'specifying "ppid=PID" is not allowed'
    assert top(engine, "up", "-efL", 400)["message"] == "ps: the option -L is not supported"


def test_a_name_that_would_move_a_terminals_cursor(engine: Sampan) -> None:
    Box(engine, "sh", "-c", "exec sleep 1001", "\x1b[2J\nfake", name="loud", host=QUIET).start()
    Box(engine, "sh", "-c", "read x", "\x1b[2J\nfake", name="shell", host=QUIET, OpenStdin=True).start()
    (row,) = top(engine, "shell", "-o pid,args")["Processes"]
    assert row[1] == "sh -c read x ?[2J fake"
    assert json.dumps(row).isprintable()


def test_sampans_own_command_prints_what_dockers_prints(engine: Sampan) -> None:
    Box(engine, "sleep", "1001", name="twin", host=QUIET).start()
    for line in (("twin", "-o", "pid,ppid,user,args"), ("twin", "-o", "comm"), ("nosuch",), ("twin", "aux")):
        agree(partial(engine.sampan, "top", *line), partial(engine.docker, "top", *line))
