"""Why a program ended, in one line and in members."""

import pytest

from sampan.daemon.exit_cause import cause, request_that_counts, signal_name
from sampan.runtime.request import Exit
from sampan.spec.containers import ExitRequest, ExitRestart

MB = 1 << 20
STOP = ExitRequest(verb="stop", signal="SIGTERM", at="")


@pytest.mark.parametrize(
    ("ended", "request_", "text"),
    [
        (Exit(code=3, ended_ns=0), None, "exited with 3"),
        (Exit(code=0, ended_ns=0), STOP, "exited with 0 after stop sent SIGTERM"),
        (Exit(code=139, ended_ns=0, signal=11, cause="signal"), None, "ended by SIGSEGV"),
        (Exit(code=169, ended_ns=0, signal=41, cause="signal"), None, "ended by signal 41"),
        (
            Exit(137, 0, signal=9, oom_killed=True, oom_kills=1, oom_limit=16 * MB, oom_peak=16 * MB, cause="oom"),
            None,
            "killed by the kernel: out of memory (limit 16.0 MiB, peak 16.0 MiB)",
        ),
        (
            Exit(1, 0, oom_killed=True, oom_kills=2),
            None,
            "exited with 1; the kernel had killed dd (7) in it: out of memory",
        ),
        (Exit(137, 0, cause="monitor-lost"), STOP, "its monitor was killed, and all its processes with it"),
        (Exit(255, 0, cause="machine-ended"), None, "the machine went down while it ran"),
    ],
)
def test_the_line(ended: Exit, request_: ExitRequest | None, text: str) -> None:
    found = cause(ended, victims="dd (7)", request=request_, health="", restart=ExitRestart(), found=False)
    assert found.text == text
    assert (found.kind, found.exit_code) == (ended.cause, ended.code)


def test_what_the_daemon_saw() -> None:
    def told(by: str, *, found: bool) -> str:
        ended = Exit(0, 0, cause=by)
        return cause(ended, victims="", request=None, health="", restart=ExitRestart(), found=found).daemon

    assert told("exited", found=False) == "heard"
    assert told("exited", found=True) == "found"
    assert told("monitor-lost", found=False) == "monitor-lost"


def test_a_signal_that_did_not_end_it_is_no_cause() -> None:
    later = Exit(0, 0)
    usr1 = ExitRequest(verb="kill", signal="SIGUSR1", at="")
    assert request_that_counts(usr1, later, "SIGTERM") is None
    assert request_that_counts(usr1, later, "SIGUSR1") is usr1
    assert request_that_counts(usr1, Exit(138, 0, signal=10), "SIGTERM") is usr1
    assert request_that_counts(STOP, later, "SIGTERM") is STOP
    assert request_that_counts(None, later, "SIGTERM") is None
    assert signal_name(9) == "SIGKILL"
