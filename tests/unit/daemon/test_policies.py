"""Signals and restart policies: pure rules."""

import signal

import pytest

from sampan.daemon.restart_policy import decide, starts_with_daemon
from sampan.daemon.signals import parse_signal
from sampan.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+3", signal.SIGRTMIN + 3), ("SIGRTMAX-2", 62)],
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "NOPE", "SIG", "RTMIN+99", "-9"])
def test_no_signals(text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^invalid signal: {text.replace('+', '.')}$"):
        parse_signal(text)


@pytest.mark.parametrize(
    ("policy", "maximum", "code", "restarts", "stopped", "delay"),
    [
        ("no", 0, 1, 0, False, None),
        ("", 0, 1, 0, False, None),
        ("always", 0, 0, 9, False, 0.1),
        ("always", 0, 0, 9, True, None),
        ("unless-stopped", 0, 137, 0, False, 0.1),
        ("on-failure", 0, 0, 0, False, None),
        ("on-failure", 0, 1, 100, False, 0.1),
        ("on-failure", 3, 1, 2, False, 0.1),
        ("on-failure", 3, 1, 3, False, None),
    ],
)
def test_restart(policy: str, maximum: int, code: int, restarts: int, stopped: bool, delay: float | None) -> None:
    made = decide(
        policy,
        maximum,
        exit_code=code,
        restarts=restarts,
        ran=0.01,
        last_delay=0,
        called_off=stopped,
        asked_to_stop=stopped,
    )
    assert made.delay == delay


@pytest.mark.parametrize(("policy", "delay"), [("always", 0.1), ("unless-stopped", None), ("on-failure", 0.1)])
def test_a_signal_that_ends_nothing_is_a_stop_to_unless_stopped_alone(policy: str, delay: float | None) -> None:
    made = decide(policy, 0, exit_code=1, restarts=0, ran=0.01, last_delay=0, called_off=False, asked_to_stop=True)
    assert made.delay == delay


def test_the_delay_doubles_to_a_minute_and_begins_again() -> None:
    def after(last: float, ran: float) -> float | None:
        return decide(
            "always",
            0,
            exit_code=1,
            restarts=1,
            ran=ran,
            last_delay=last,
            called_off=False,
            asked_to_stop=False,
        ).delay

    assert [after(0.1, 1), after(0.2, 1), after(51.2, 1), after(60, 9.9)] == [0.2, 0.4, 60, 60]
    assert after(60, 10) == 0.1


@pytest.mark.parametrize(
    ("policy", "maximum", "code", "restarts", "asked", "starts"),
    [
        ("no", 0, 1, 0, False, False),
        ("always", 0, 0, 0, True, True),
        ("unless-stopped", 0, 0, 0, False, True),
        ("unless-stopped", 0, 0, 0, True, False),
        ("on-failure", 0, 1, 9, True, True),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 2, 1, 2, False, False),
    ],
)
def test_what_starts_with_the_daemon(
    policy: str, maximum: int, code: int, restarts: int, asked: bool, starts: bool
) -> None:
    made = starts_with_daemon(policy, maximum, exit_code=code, restarts=restarts, asked_to_stop=asked)
    assert made == starts
