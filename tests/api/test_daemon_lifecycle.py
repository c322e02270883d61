"""The daemon with real containers: what verbs answer, what survives it, what it leaves behind."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.daemons import Sampan, entry_point, refused_start, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = [requires("root", "overlay", "busybox", "docker-client")]


def call(engine: Sampan, method: str, path: str, body: object = None, status: int = 0) -> Any:
    answer = engine.api(method, path, body)
    text = answer.body.decode()
    if status:
        assert answer.status == status, text
    else:
        assert answer.status < 400, text
    return json.loads(text) if text.startswith(("{", "[")) else None


def made(engine: Sampan, name: str, *words: str, **host: object) -> str:
    host.setdefault("NetworkMode", "none")
    body = {"Image": "busybox", "Cmd": list(words), "HostConfig": host}
    return str(call(engine, "POST", f"/containers/create?name={name}", body)["Id"])


def state(engine: Sampan, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(engine, "GET", f"/containers/{name}/json")["State"]
    return found


def gone(engine: Sampan, name: str) -> bool:
    return engine.api("GET", f"/containers/{name}/json").status == 404


def test_names_prefixes_and_conflicts(engine: Sampan) -> None:
    first = made(engine, "names1", "true")
    assert call(engine, "GET", f"/containers/{first[:14]}/json")["Name"] == "/names1"
    conflict = call(engine, "POST", "/containers/create?name=names1", {"Image": "busybox", "Cmd": ["true"]}, 409)
    assert f'already in use by container "{first}"' in conflict["message"]
    call(engine, "POST", "/containers/names1/rename?name=names2")
    assert gone(engine, "names1")
    assert call(engine, "POST", "/containers/create?name=-x", {"Image": "busybox"}, 400)["message"].startswith(
        "Invalid container name (-x), only"
    )
    assert call(engine, "POST", "/containers/create", {"Image": "nope"}, 404)["message"] == "No such image: nope:latest"
    call(engine, "DELETE", "/containers/names2")
    assert call(engine, "GET", "/containers/names2/json", status=404)["message"] == "No such container: names2"


@pytest.mark.parametrize(
    ("command", "status", "code", "text"),
    [
        ("nosuch", 400, 127, 'exec: "nosuch": executable file not found in $PATH: unknown'),
        ("/etc/passwd", 400, 126, "permission denied: unknown"),
        ("/etc", 400, 126, "permission denied: unknown"),
    ],
)
def test_programs_that_cannot_be_executed(engine: Sampan, command: str, status: int, code: int, text: str) -> None:
    made(engine, "broken", command)
    answer = call(engine, "POST", "/containers/broken/start", status=status)
    assert answer["message"].endswith(text)
    after = state(engine, "broken")
    assert (after["Status"], after["ExitCode"], after["Pid"]) == ("created", code, 0)
    assert after["Error"] == answer["message"]
    call(engine, "DELETE", "/containers/broken")


def test_start_twice_stop_twice_and_remove_while_it_runs(engine: Sampan) -> None:
    made(engine, "twice", "sleep", "60")
    call(engine, "POST", "/containers/twice/start", status=204)
    call(engine, "POST", "/containers/twice/start", status=304)
    refused = call(engine, "DELETE", "/containers/twice", status=409)
    assert "container is running: stop the container before removing or force remove" in refused["message"]
    call(engine, "POST", "/containers/twice/stop?t=0", status=204)
    call(engine, "POST", "/containers/twice/stop", status=304)
    assert state(engine, "twice")["ExitCode"] == 137
    call(engine, "POST", "/containers/twice/kill", status=409)
    call(engine, "DELETE", "/containers/twice", status=204)


def test_restart_policies(engine: Sampan) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    made(engine, "failing", "sh", "-c", "exit 3", RestartPolicy=policy)
    call(engine, "POST", "/containers/failing/start")
    eventually(lambda: state(engine, "failing")["Status"] == "exited")
    inspected = call(engine, "GET", "/containers/failing/json")
    assert (inspected["RestartCount"], inspected["State"]["ExitCode"]) == (2, 3)
    call(engine, "DELETE", "/containers/failing")
    made(engine, "always", "sleep", "60", RestartPolicy={"Name": "always"})
    call(engine, "POST", "/containers/always/start")
    before = state(engine, "always")["Pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: state(engine, "always")["Pid"] not in (before, 0))
    call(engine, "POST", "/containers/always/stop?t=0")
    time.sleep(0.3)
    assert state(engine, "always")["Status"] == "exited", "who was told to stop stays down"
    call(engine, "DELETE", "/containers/always")


def test_what_goes_with_its_run(engine: Sampan) -> None:
    made(engine, "brief", "true", AutoRemove=True)
    call(engine, "POST", "/containers/brief/start")
    eventually(lambda: gone(engine, "brief"))
    eventually(lambda: not list((engine.data_root / "containers").glob("*")))
    assert not list((engine.data_root / "rw").glob("[0-9a-f]*"))


def test_events_tell_the_life_of_a_container(engine: Sampan) -> None:
    began = time.time()
    outcome = engine.docker("run", "--rm", "--name", "told", "-l", "k=v", "busybox", "sh", "-c", "exit 2")
    assert outcome.code == 2
    filters = quote(json.dumps({"container": ["told"]}))
    path = f"/events?since={began:.9f}&until={time.time() + 0.5:.9f}&filters={filters}"
    lines = engine.api("GET", path).body.decode().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["Action"] for event in events] == ["create", "attach", "start", "die", "destroy"]
    died = events[3]["Actor"]["Attributes"]
    assert (died["exitCode"], died["k"], died["image"], died["name"]) == ("2", "v", "busybox", "told")


def test_a_volume_begins_with_what_the_image_has(engine: Sampan) -> None:
    written = engine.docker(
        "run", "--rm", "-v", "kept:/etc", "busybox", "sh", "-c", "ls /etc/passwd; echo x > /etc/new"
    )
    assert written.code == 0, written.err
    assert engine.docker("run", "--rm", "-v", "kept:/mnt:ro", "busybox", "cat", "/mnt/new").out == b"x\n"
    assert engine.docker("volume", "rm", "kept").code == 0


def test_containers_outlive_the_daemon(engine: Sampan) -> None:
    held = made(engine, "outlives", "sleep", "60")
    made(engine, "ends", "sleep", "1")
    made(engine, "removed", "sleep", "1", AutoRemove=True)
    for name in ("outlives", "ends", "removed"):
        call(engine, "POST", f"/containers/{name}/start")
    pid = state(engine, "outlives")["Pid"]
    engine.kill()
    time.sleep(1.5)
    engine.start()
    after = state(engine, "outlives")
    assert (after["Status"], after["Pid"]) == ("running", pid)
    assert Path(f"/proc/{pid}").exists()
    eventually(lambda: state(engine, "ends")["Status"] == "exited" and gone(engine, "removed"))
    assert engine.stop() < 9, "it waits for the containers that go on"
    assert Path(f"/proc/{pid}").exists(), "SIGTERM leaves containers running"
    engine.start()
    assert state(engine, "outlives")["Pid"] == pid
    for name in (held, "ends"):
        call(engine, "DELETE", f"/containers/{name}?force=1")


def test_a_second_daemon_is_refused(engine: Sampan) -> None:
    for flag in ("--data-root", "--exec-root"):
        both = {"--data-root": f"{engine.directory}/other", "--exec-root": f"{engine.directory}/elsewhere"}
        both[flag] = str(engine.data_root if flag == "--data-root" else engine.exec_root)
        words = [word for pair in both.items() for word in pair]
        refused = subprocess.run([*entry_point("sampand"), *words], capture_output=True, text=True, timeout=30)
        assert refused.returncode == 1
        assert (
            f"{both[flag]} is in use by another daemon (pid {engine.process.pid if engine.process else 0})"
            in refused.stderr
        )


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--host", "unix:///proc/no.sock", "/proc/no.sock"),
        ("--seccomp-profile", "/nowhere.json", "opening seccomp profile (/nowhere.json) failed"),
        ("--userns-remap", "nosuchuser", "Error during uid lookup"),
    ],
)
def test_a_start_that_is_refused_leaves_nothing(flag: str, value: str, words: str) -> None:
    assert words in refused_start(flag, value)


def test_on_a_machine_whose_mounts_are_shared_as_systemd_has_them() -> None:
    """Copies of shared mounts are shared, and no jail can pivot to one that is: layers were unpacked, and copies made, nowhere."""
    with running_sampan(within=("unshare", "--mount", "--propagation", "shared")) as engine:
        engine.load_busybox()
        made = engine.docker("run", "-d", "--net", "none", "busybox", "sleep", "1000")
        assert made.code == 0, made
        copied = engine.docker("cp", f"{made.text}:/etc/passwd", "-")
        assert b"root:x:0:0" in copied.out, copied


def test_live_restore_false_stops_them_first() -> None:
    with running_sampan("--live-restore=false", "--shutdown-timeout=3") as own:
        own.load_busybox()
        idle = "echo ready; while :; do sleep 0.1; done"
        made(own, "obedient", "sh", "-c", f"trap 'exit 4' TERM; {idle}")
        made(own, "stubborn", "sh", "-c", f"trap '' TERM; {idle}", RestartPolicy={"Name": "always"})
        call(own, "POST", "/containers/obedient/start")
        call(own, "POST", "/containers/stubborn/start")
        pids = [state(own, name)["Pid"] for name in ("obedient", "stubborn")]
        for name in ("obedient", "stubborn"):
            eventually(lambda name=name: own.docker("logs", name).text == "ready")  # type: ignore[misc]
        took = own.stop()
        assert 3 < took < 9, "the stubborn one has the three seconds, and not the ten of a stop"
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        own.start()
        assert state(own, "obedient")["ExitCode"] == 4
        eventually(lambda: state(own, "stubborn")["Status"] == "running")
        call(own, "DELETE", "/containers/stubborn?force=1")
        call(own, "DELETE", "/containers/obedient")


def test_a_container_in_an_impossible_group_is_in_nobodys_way() -> None:
    """It can be created, as under Docker, and not started; the daemon starts and ends beside it."""
    # With systemd's driver such a name is refused at once.
    with running_sampan("--exec-opt", "native.cgroupdriver=cgroupfs") as engine:
        engine.load_busybox()
        assert engine.docker("create", "--cgroup-parent", "a/./b", "--name", "odd", "busybox").code == 0
        assert engine.docker("start", "odd").code != 0
        engine.stop()
        engine.start("--exec-opt", "native.cgroupdriver=cgroupfs")
        assert engine.docker("rm", "odd").code == 0
