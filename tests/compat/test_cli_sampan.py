"""`sampan` on Sampan's own daemon: what only the two together do, and a person's ordinary day."""

from collections.abc import Iterator

import pytest

from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def test_version_agrees_on_the_newest_api(engine: Sampan) -> None:
    outcome = engine.sampan(
        "version", "--format", "{{.Client.ApiVersion}} {{.Server.ApiVersion}} {{.Server.Platform.Name}}"
    )
    assert outcome.code == 0, outcome
    client, server, platform = outcome.text.split(" ", 2)
    assert client == server == "1.51"
    assert "Sampan" in platform


def test_explain_draws_the_steps_on_stderr(engine: Sampan) -> None:
    outcome = engine.sampan("run", "--rm", "--net", "none", "--explain", "busybox", "echo", "program")
    assert (outcome.code, outcome.out) == (0, b"program\n")
    heading, *steps = outcome.err.decode().splitlines()
    assert heading.split() == ["AT", "TOOK", "PRINCIPLE", "STEP", "SOURCE", "OPERANDS"]
    principles = {"isolation", "control groups", "union file system", "shared kernel", "runtime environment"}
    assert {name for name in principles if any(name in step for step in steps)} == principles
    assert steps[-1].split()[1:3] == ["steps", "in"]
    moments = [float(step.split()[0]) for step in steps[:-1]]
    assert max(moments) > 0
    assert any("runtime/" in step and ".py:" in step for step in steps)


def test_a_day(engine: Sampan) -> None:
    made = engine.sampan("run", "-d", "--name", "day", "--net", "none", "-l", "a=b", "busybox", "sleep", "100")
    assert made.code == 0, made
    assert engine.sampan("ps", "--format", '{{.Names}} {{.State}} {{.Label "a"}}').text == "day running b"
    assert engine.sampan("exec", "day", "sh", "-c", "echo in; exit 4").code == 4
    assert engine.sampan("exec", "-i", "day", "cat", stdin=b"typed").out == b"typed"
    assert engine.sampan("rename", "day", "night").code == 0
    assert engine.sampan("inspect", "-f", "{{.Name}} {{.State.Running}}", "night").text == "/night true"
    assert engine.sampan("stop", "-t", "0", "night").text == "night"
    assert engine.sampan("wait", "night").text == "137"
    assert engine.sampan("logs", "night").out == b""
    assert engine.sampan("start", "night").text == "night"
    assert engine.sampan("kill", "-s", "KILL", "night").text == "night"
    assert engine.sampan("rm", "-f", "night").text == "night"
    assert engine.sampan("ps", "-aq").out == b""


@pytest.mark.parametrize(
    ("program", "code"),
    [(["sh", "-c", "exit 7"], 7), (["/etc/passwd"], 126), (["nosuch"], 127)],
)
def test_exit_codes(engine: Sampan, program: list[str], code: int) -> None:
    outcome = engine.sampan("run", "--rm", "--net", "none", "busybox", *program)
    assert outcome.code == code, outcome


def test_engine_failures_are_125(engine: Sampan) -> None:
    outcome = engine.sampan("run", "--rm", "--pull", "never", "nosuch")
    assert outcome.code == 125
    assert outcome.err.decode().startswith(
        "sampan: Error response from daemon: No such image: nosuch:latest\n\nRun 'sampan run --help'"
    )


def test_images_go_out_and_come_back(engine: Sampan) -> None:
    saved = engine.sampan("save", "busybox")
    assert engine.sampan("tag", "busybox", "other:1").code == 0
    assert engine.sampan("images", "-q", "other").text == engine.sampan("images", "-q", "busybox").text
    assert engine.sampan("rmi", "other:1").text == "Untagged: other:1"
    assert engine.sampan("load", stdin=saved.out).text == "Loaded image: busybox:latest"


def test_completion_offers_names(engine: Sampan) -> None:
    engine.sampan("create", "--name", "offered", "--net", "none", "busybox", "true")
    assert engine.sampan("__complete", "--", "start", "off").text == "offered"
    assert engine.sampan("__complete", "--", "stop", "").text == ""
    assert "busybox" in engine.sampan("__complete", "--", "rmi", "").text.split()


def test_stats_as_bars(engine: Sampan) -> None:
    program = ("sh", "-c", "while :; do :; done")
    assert engine.sampan("run", "-d", "--net", "none", "--name", "busy", "-m", "64m", "busybox", *program).code == 0
    try:
        outcome = engine.sampan("stats", "--bars", "--no-stream")
        assert outcome.code == 0, outcome
        heading, line = outcome.text.splitlines()
        assert heading.split() == ["NAME", "CPU", "MEMORY", "PIDS", "STALLED"]
        assert line.startswith("busy ")
        assert "█" in line
        assert "/ 64MiB" in line
        refused = engine.sampan("stats", "--bars", "--format", "json")
        assert (refused.code, refused.err) == (1, b"--bars and --format cannot be used together\n")
    finally:
        engine.sampan("rm", "-f", "busy")
