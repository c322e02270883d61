"""`sampan` at a terminal: run -it, resize, Ctrl-C, detach keys, attach again, exec -it; and signals without one.

Against Debian's dockerd, so that it is the command that is tested; the same keys are pressed on Sampan's daemon with `docker`.
"""

import os
import signal
import subprocess

import pytest

from tests.daemons import Docker, entry_point, scrubbed_environment
from tests.requires import requires
from tests.terminals import Terminal

pytestmark = requires("root", "docker-client", "dockerd", "busybox")


@pytest.fixture(scope="module")
def daemon(peer: Docker) -> Docker:
    peer.load_busybox()
    return peer


def environment(daemon: Docker) -> dict[str, str]:
    return {**scrubbed_environment(), "DOCKER_HOST": daemon.host, "TERM": "xterm"}


def sampan(daemon: Docker, *words: str) -> Terminal:
    return Terminal([*entry_point("sampan"), *words], environment(daemon))


RUN = ("run", "--rm", "-it", "--net", "none", "busybox")


def test_shell_and_exit_code(daemon: Docker) -> None:
    with sampan(daemon, *RUN, "sh") as terminal:
        terminal.expect(b"# ")
        terminal.press(b"tty; echo $((6*7))\r")
        terminal.expect(b"/dev/pts/0")
        terminal.expect(b"\n42")
        terminal.press(b"exit 9\r")
        assert terminal.wait() == 9


def test_window_size_follows(daemon: Docker) -> None:
    with sampan(daemon, *RUN, "sh") as terminal:
        terminal.expect(b"# ")
        terminal.resize(33, 111)
        for _ in range(20):
            terminal.press(b"stty size\r")
            if b"33 111" in terminal.expect(b"# ") + terminal.expect(b"# "):
                break
        else:
            pytest.fail(f"the new size did not arrive: {terminal.screen!r}")
        terminal.press(b"exit\r")
        assert terminal.wait() == 0


def test_ctrl_c_is_a_key(daemon: Docker) -> None:
    with sampan(daemon, *RUN, "sh", "-c", "trap 'exit 77' INT; echo ready; while :; do sleep 0.1; done") as terminal:
        terminal.expect(b"ready")
        terminal.press(b"\x03")
        assert terminal.wait() == 77


def test_detach_keys_and_attach_again(daemon: Docker) -> None:
    with sampan(daemon, "run", "-it", "--name", "kept", "--net", "none", "busybox", "sh") as terminal:
        terminal.expect(b"# ")
        terminal.press(b"marker=here\r")
        terminal.expect(b"# ")
        terminal.press(b"\x10\x11")
        terminal.expect(b"read escape sequence")
        assert terminal.wait() == 0
    with sampan(daemon, "attach", "--detach-keys", "ctrl-x,y", "kept") as terminal:
        terminal.press(b"echo $marker\r")
        terminal.expect(b"\nhere")
        terminal.press(b"\x18y")
        assert terminal.wait() == 0
    sized = "tty; until stty size | grep 24; do sleep 0.1; done; exit 3"
    with sampan(daemon, "exec", "-it", "kept", "sh", "-c", sized) as terminal:
        terminal.expect(b"/dev/pts/1")
        terminal.expect(b"24 80")
        assert terminal.wait() == 3
    with sampan(daemon, "attach", "kept") as terminal:
        terminal.press(b"exit 4\r")
        assert terminal.wait() == 4
    with sampan(daemon, "start", "-ai", "kept") as terminal:
        terminal.press(b"exit 5\r")
        assert terminal.wait() == 5
    assert daemon.docker("rm", "kept").code == 0


def test_the_terminal_is_left_as_it_was(daemon: Docker) -> None:
    line = " ".join([*entry_point("sampan")[:1], *RUN, "true"]) if len(entry_point("sampan")) == 1 else ""
    program = line or f"{entry_point('sampan')[0]} -m sampan.cli_main {' '.join(RUN)} true"
    script = f'before=$(stty -a); {program}; [ "$(stty -a)" = "$before" ] && echo sa\'\'me'
    with Terminal(["sh", "-c", script], environment(daemon)) as terminal:
        terminal.expect(b"same")
        assert terminal.wait() == 0


@pytest.mark.parametrize("verb", ["run", "attach"])
def test_signals_go_to_the_program(verb: str, daemon: Docker) -> None:
    program = "trap 'exit 55' TERM; trap 'echo usr1' USR1; while :; do echo ready; sleep 0.05; done"
    name = f"signals-{verb}"
    line = ["run", "--name", name, "--net", "none", "busybox", "sh", "-c", program]
    if verb == "attach":
        assert daemon.docker(*line[:1], "-d", *line[1:]).code == 0
        line = ["attach", name]
    process = subprocess.Popen([*entry_point("sampan"), *line], stdout=subprocess.PIPE, env=environment(daemon))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGUSR1)
    while (told := process.stdout.readline()) == b"ready\n":
        pass
    assert told == b"usr1\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(15) == 55
    process.stdout.close()
    daemon.docker("rm", "-f", name)


def test_without_the_proxy_a_signal_ends_the_command_alone(daemon: Docker) -> None:
    line = [
        "run",
        "--name",
        "alone",
        "--sig-proxy=false",
        "--net",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo ready; sleep 100",
    ]
    process = subprocess.Popen([*entry_point("sampan"), *line], stdout=subprocess.PIPE, env=environment(daemon))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(15) != 0
    process.stdout.close()
    assert daemon.docker("inspect", "-f", "{{.State.Running}}", "alone").text == "true"
    daemon.docker("rm", "-f", "alone")


def test_tables_are_plain_in_a_pipe_and_bold_on_a_terminal(daemon: Docker) -> None:
    with sampan(daemon, "ps") as terminal:
        assert b"\x1b[1mCONTAINER ID" in terminal.expect(b"NAMES")
        assert terminal.wait() == 0
    with Terminal([*entry_point("sampan"), "ps"], {**environment(daemon), "NO_COLOR": "1"}) as terminal:
        assert b"\x1b" not in terminal.expect(b"NAMES")
        assert terminal.wait() == 0
