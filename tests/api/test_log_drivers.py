"""Log drivers through the API: json-file, local and none; bounds, packing, modes; a log that is cleared."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan, entry_point, scrubbed_environment
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "mountns", "docker-client")


@pytest.fixture
def named(engine: Sampan) -> Iterator[str]:
    name = "logged"
    yield name
    engine.api("DELETE", f"/containers/{name}?force=1&v=1")


def run(engine: Sampan, name: str, program: str, *flags: str) -> str:
    """`docker run` of a shell; the container's id."""
    done = engine.docker("run", "-d", "--network", "none", "--name", name, *flags, "busybox", "sh", "-c", program)
    assert done.code == 0, done
    return done.text


def finished(engine: Sampan, name: str) -> None:
    assert engine.docker("wait", name).code == 0


def logs(engine: Sampan, name: str, *flags: str) -> list[str]:
    done = engine.docker("logs", *flags, name)
    assert done.code == 0, done
    return (done.out + done.err).decode().splitlines()


def test_local_is_read_as_json_file_is(engine: Sampan, named: str) -> None:
    labels = ("--label", "team=sea", "--log-opt", "labels=team", "--log-opt", "tag={{.Name | upper}}")
    program = 'i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done; echo oops >&2; printf "no end"'
    container = run(engine, named, program, "--log-driver", "local", *labels)
    finished(engine, named)
    plain = engine.docker("logs", named)
    assert plain.out.decode() == "".join(f"line {n}\n" for n in range(200)) + "no end"
    assert plain.err == b"oops\n"
    assert logs(engine, named, "--tail", "3")[0] == "line 199"
    assert logs(engine, named, "--details", "--tail", "1") == ["tag=LOGGED,team=sea no end"]
    stamped = logs(engine, named, "-t", "--tail", "1")[0].split(" ", 1)
    assert stamped[1] == "no end"
    assert len(stamped[0]) == len("2026-11-23T20:00:00.123456789Z")
    assert logs(engine, named, "--since", stamped[0], "--until", stamped[0]) == ["no end"]
    inspected = engine.api("GET", f"/containers/{named}/json").json()
    assert isinstance(inspected, dict)
    assert inspected["LogPath"] == ""
    assert (engine.data_root / "containers" / container / "local-logs" / "container.log").exists()


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_renamed_files_are_packed_while_the_program_runs(engine: Sampan, named: str, driver: str) -> None:
    program = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; read hold'
    bounds = ("--log-opt", "max-size=20k", "--log-opt", "max-file=100", "--log-opt", "compress=true")
    container = run(engine, named, program, "-i", "--log-driver", driver, *bounds)
    directory = engine.data_root / "containers" / container
    eventually(lambda: "line 2999" in logs(engine, named, "--tail", "1"))

    def all_packed() -> bool:
        packed = {path.name for path in directory.rglob("*.log.*.gz")}
        return len(packed) > 2 and not list(directory.rglob("*.log.[0-9]"))

    eventually(all_packed)
    assert logs(engine, named) == [f"line {n}" for n in range(3000)]
    assert logs(engine, named, "--tail", "2900")[0] == "line 100"


def say(engine: Sampan, name: str, word: str) -> None:
    program = f"while ! test -p /tmp/words; do sleep 0.1; done; echo {word} > /tmp/words"
    assert engine.docker("exec", name, "sh", "-c", program).code == 0


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("mode", [(), ("--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=2m")])
def test_a_log_is_cleared_while_it_is_written_and_followed(
    engine: Sampan, named: str, driver: str, mode: tuple[str, ...]
) -> None:
    # Opened once, for both directions: a reader that opens anew could meet a writer that is just closing.
    program = "mkfifo /tmp/words; exec 3<> /tmp/words; while read word <&3; do echo $word; done"
    run(engine, named, program, "--log-driver", driver, *mode)
    follower = subprocess.Popen(
        [*entry_point("sampan"), "logs", "-f", named],
        stdout=subprocess.PIPE,
        env={**scrubbed_environment(), "DOCKER_HOST": engine.host},
    )
    assert follower.stdout is not None
    try:
        say(engine, named, "before")
        eventually(lambda: logs(engine, named) == ["before"])
        # From here on it has the log open.
        assert follower.stdout.readline() == b"before\n"
        cleared = engine.sampan("logs", "--clear", named)
        assert (cleared.code, cleared.text) == (0, named)
        eventually(lambda: logs(engine, named) == [])
        say(engine, named, "behind")
        eventually(lambda: logs(engine, named) == ["behind"])
        engine.api("POST", f"/containers/{named}/kill")
    finally:
        out, _ = follower.communicate(timeout=60)
    assert out == b"behind\n"
    assert engine.sampan("logs", "--clear", named).code == 0, "a stopped one, too"
    assert logs(engine, named) == []


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_a_tag_that_cannot_be_rendered_is_said_at_the_start(engine: Sampan, named: str, driver: str) -> None:
    flags = ("--log-driver", driver, "--log-opt", "tag={{shout .Name}}", "--name", named)
    assert engine.docker("create", *flags, "busybox", "true").code == 0, "as in Docker"
    answer = engine.api("POST", f"/containers/{named}/start")
    assert answer.status == 500
    assert answer.json() == {
        "message": "failed to create task for container: failed to initialize logging driver: "
        'template: log-tag:1: function "shout" not defined'
    }


def test_clearing_what_is_not_there(engine: Sampan, named: str) -> None:
    done = engine.sampan("logs", "--clear", "nobody")
    assert (done.code, done.err.decode()) == (1, "Error response from daemon: No such container: nobody\n")
    assert engine.sampan("logs", "--clear").code == 1
    run(engine, named, "true", "--log-driver", "none")
    answer = engine.api("DELETE", f"/containers/{named}/sampan/logs")
    assert answer.status == 501
    assert answer.json() == {"message": "configured logging driver does not support reading"}


def test_non_blocking_mode_loses_nothing_while_there_is_room(engine: Sampan, named: str) -> None:
    program = 'i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done'
    run(engine, named, program, "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=4m")
    finished(engine, named)
    assert logs(engine, named) == [f"line {n}" for n in range(2000)]


@pytest.mark.parametrize("driver", ["awslogs", "etwlogs", "gcplogs", "splunk", "nonsense"])
def test_drivers_that_are_not_there(engine: Sampan, driver: str) -> None:
    body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver}}}
    answer = engine.api("POST", "/containers/create", body)
    assert answer.status == 400
    assert answer.json() == {"message": f"logger: no log driver named '{driver}' is registered"}


def test_info_lists_the_drivers_there_are(engine: Sampan) -> None:
    info = engine.api("GET", "/info").json()
    assert isinstance(info, dict)
    for driver in info["Plugins"]["Log"]:
        options = {"gelf-address": "udp://127.0.0.1:12201"} if driver == "gelf" else {}
        body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}}
        answer = engine.api("POST", "/containers/create", body)
        assert answer.status == 201, (driver, answer.body)
        created = answer.json()
        assert isinstance(created, dict)
        engine.api("DELETE", f"/containers/{created['Id']}")


def test_defaults_of_daemon_json(tmp_path: Path) -> None:
    sampan = Sampan()
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps({"log-driver": "local", "log-opts": {"max-size": "1m", "max-file": "3"}}))
    try:
        sampan.start("--config-file", str(config))
        sampan.load_busybox()
        name = run(sampan, "plain", "echo hello")
        finished(sampan, name)
        assert logs(sampan, name) == ["hello"]
        inspected = sampan.api("GET", f"/containers/{name}/json").json()
        assert isinstance(inspected, dict)
        expected = {"Type": "local", "Config": {"max-size": "1m", "max-file": "3"}}
        assert inspected["HostConfig"]["LogConfig"] == expected
    finally:
        sampan.remove()
    config.write_text(json.dumps({"log-driver": "splunk"}))
    done = sampan._execute([*entry_point("sampand"), "--validate", "--config-file", str(config)], b"", 30, None)
    assert done.code == 1
    assert done.err.decode() == "failed to set log opts: logger: no log driver named 'splunk' is registered\n"
