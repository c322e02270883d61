"""The machine's `docker` at a terminal: run -it, resize, Ctrl-C, detach keys, attach again, exec -it."""

from collections.abc import Iterator

import pytest

from tests.daemons import Sampan, scrubbed_environment
from tests.requires import requires
from tests.terminals import Terminal

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def docker(engine: Sampan, *words: str) -> Terminal:
    return Terminal(["docker", *words], {**scrubbed_environment(), "DOCKER_HOST": engine.host, "TERM": "xterm"})


def test_shell_says_its_terminal_and_exits_with_its_code(engine: Sampan) -> None:
    with docker(engine, "run", "--rm", "-it", "busybox", "sh") as terminal:
        terminal.expect(b"# ")
        terminal.press(b"tty; echo $((6*7))\r")
        terminal.expect(b"/dev/pts/0")
        terminal.expect(b"\n42")
        terminal.press(b"exit 9\r")
        assert terminal.wait() == 9


def test_size_is_known_and_follows(engine: Sampan) -> None:
    with docker(engine, "run", "--rm", "-it", "busybox", "sh") as terminal:
        terminal.expect(b"# ")
        for _ in range(20):
            # The client listens for SIGWINCH only some time after the prompt is there.
            terminal.resize(33, 111)
            terminal.press(b"stty size; echo said\r")
            if b"33 111" in terminal.expect(b"\nsaid"):
                break
        else:
            pytest.fail(f"the new size did not arrive: {terminal.screen!r}")
        terminal.press(b"exit\r")
        assert terminal.wait() == 0


def test_ctrl_c_interrupts_the_program(engine: Sampan) -> None:
    with docker(
        engine,
        "run",
        "--rm",
        "-it",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 130' INT; echo ready; while :; do sleep 0.1; done",
    ) as terminal:
        terminal.expect(b"ready")
        terminal.press(b"\x03")
        assert terminal.wait() == 130


def test_detach_keys_leave_it_running_and_attach_comes_back(engine: Sampan) -> None:
    with docker(engine, "run", "-it", "--name", "kept", "busybox", "sh") as terminal:
        terminal.expect(b"# ")
        terminal.press(b"marker=here\r")
        terminal.expect(b"# ")
        terminal.press(b"\x10\x11")
        terminal.wait()
    assert engine.docker("inspect", "--format", "{{.State.Running}}", "kept").text == "true"
    with docker(engine, "attach", "kept") as terminal:
        terminal.press(b"echo $marker\r")
        terminal.expect(b"\nhere")
        terminal.press(b"exit\r")
        assert terminal.wait() == 0


def test_exec_at_a_terminal(engine: Sampan) -> None:
    assert engine.docker("run", "-d", "--name", "host", "busybox", "sleep", "100").code == 0
    with docker(engine, "exec", "-it", "host", "sh") as terminal:
        terminal.expect(b"# ")
        terminal.press(b"tty; exit 5\r")
        terminal.expect(b"/dev/pts/")
        assert terminal.wait() == 5


def test_logs_follow_across_a_restart_of_the_daemon(engine: Sampan) -> None:
    line = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"
    assert engine.docker("run", "-d", "--name", "talker", "busybox", "sh", "-c", line).code == 0
    with docker(engine, "logs", "-f", "talker") as terminal:
        terminal.expect(b"line 5\r")
    engine.stop()
    engine.start()
    assert engine.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", "talker").text == "true 0"
    with docker(engine, "logs", "-f", "talker") as terminal:
        seen = terminal.expect(b"line 40\r", seconds=30)
    numbers = [int(word) for word in seen.replace(b"\r\n", b" ").replace(b"line", b"").split() if word.isdigit()]
    assert numbers[:39] == list(range(1, 40)), "a line is missing or doubled"
