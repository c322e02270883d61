"""`docker logs` of containers whose log driver reads again what it was given: LogDriver.ReadLogs, and what Docker does without."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.log_plugins import Rereading
from tests.plugin_servers import served
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture
def reader(engine: Sampan) -> Iterator[Rereading]:
    reader = Rereading()
    with served(engine.exec_root / "plugins" / "rereads.sock", "LogDriver", reader.answers()):
        yield reader
        reader.ended.set()
        engine.remove_containers()
        eventually(lambda: not reader.files, "each log was ended")
    eventually(lambda: not list((engine.exec_root / "logging").iterdir()), "no FIFO is left")


def run(engine: Sampan, *words: str, script: str) -> None:
    line = (
        "run",
        "--network",
        "none",
        "--log-driver",
        "rereads",
        "--name",
        "one",
        *words,
        "busybox",
        "sh",
        "-c",
        script,
    )
    done = engine.docker(*line)
    assert done.code == 0, (done.out, done.err)


def test_the_plugin_is_read_and_not_the_copy(engine: Sampan, reader: Rereading) -> None:
    run(
        engine,
        "--log-opt",
        "cache-disabled=true",
        script="echo err >&2; sleep 0.2; echo out; head -c 20000 /dev/zero | tr '\\0' x; echo",
    )
    shown = engine.docker("logs", "one")
    assert (shown.code, shown.out, shown.err) == (0, b"out\n" + b"x" * 20000 + b"\n", b"err\n")
    assert engine.docker("logs", "--tail", "1", "one").out == b"x" * 3616 + b"\n"
    assert reader.windows[0] == {
        "Since": "0001-01-01T00:00:00Z",
        "Until": "0001-01-01T00:00:00Z",
        "Tail": -1,
        "Follow": False,
    }
    assert reader.windows[1]["Tail"] == 1
    reader.entries[1].line = b"from the plugin"
    assert engine.docker("logs", "one").out.startswith(b"from the plugin\n")


def test_times_and_details(engine: Sampan, reader: Rereading) -> None:
    run(engine, script="echo out")
    engine.docker("logs", "one")
    reader.entries[0].time_nano = 1_700_000_000_000_000_001
    assert engine.docker("logs", "-t", "one").text == "2023-11-14T22:13:20.000000001Z out"
    assert engine.docker("logs", "-t", "--details", "one").text == "2023-11-14T22:13:20.000000001Z  out"
    # The plugin of this test looks at no times: the daemon does, as Docker's.
    bounds = ("--since", "1700000000"), ("--since", "1700000001"), ("--until", "1700000001"), ("--until", "1700000000")
    assert [engine.docker("logs", *words, "one").text for words in bounds] == ["out", "", "out", ""]
    assert [window["Since"] for window in reader.windows[3:5]] == ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"]
    assert reader.windows[5]["Until"] == "2023-11-14T22:13:21Z"


def test_following_to_the_end_of_the_run(engine: Sampan, reader: Rereading, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = "echo one; until [ -e /t/gate ]; do sleep 0.05; done; echo two"
    run(engine, "-d", "-v", f"{tmp_path}:/t", script=script)
    with subprocess.Popen(
        ["docker", "-H", f"unix://{engine.socket}", "logs", "-f", "one"], stdout=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"one\n"
        gate.touch()
        assert following.stdout.read() == b"two\n"
        assert following.wait(20) == 0
    assert reader.windows[-1]["Follow"]
    # Nothing is followed where nothing runs.
    assert engine.docker("logs", "-f", "one").out == b"one\ntwo\n"
    assert not reader.windows[-1]["Follow"]


def test_a_run_that_says_nothing_is_known_to_the_plugin(engine: Sampan, reader: Rereading) -> None:
    run(engine, "-d", script="sleep 60")
    eventually(lambda: reader.infos, "it was told")
    shown = engine.docker("logs", "one")
    assert (shown.code, shown.out, shown.err) == (0, b"", b"")


def test_a_plugin_that_is_away_or_fails(engine: Sampan, reader: Rereading) -> None:
    run(engine, script="echo x")
    engine.docker("logs", "one")
    reader.entries.clear()
    assert engine.docker("logs", "one").out == b""
    for answer, words in (
        ((500, {"Err": "the disk is gone"}), "the disk is gone"),
        (b"\0\0\0\x05ab", "unexpected EOF"),
        (b"\xff\xff\xff\xff", "an entry of 4294967295 bytes"),
    ):
        plugin_answers = {**reader.answers(), "LogDriver.ReadLogs": answer}
        with served(engine.exec_root / "plugins" / "rereads.sock", "LogDriver", plugin_answers):
            failed = engine.docker("logs", "one").err.decode()
        assert "Error grabbing logs: error getting log reader: " in failed
        assert words in failed
    # Whether it can read is not known then: Docker, too, goes on without.
    assert engine.docker("logs", "one").out == b"x\n"
