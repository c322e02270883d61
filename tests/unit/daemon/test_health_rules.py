"""Health checks: what is executed, when, and what results mean. Pure rules."""

import pytest

from sampan.daemon import health_rules as rules
from sampan.spec.containers import ContainerConfig
from sampan.spec.health import Health, HealthcheckResult, HealthConfig

SECOND = 10**9


@pytest.mark.parametrize(
    ("test", "shell", "words"),
    [
        (None, None, None),
        ((), None, None),
        (("NONE",), None, None),
        (("",), None, None),
        (("HTTP", "x"), None, None),
        (("CMD", "a", "b"), None, ("a", "b")),
        (("CMD-SHELL", "a | b"), None, ("/bin/sh", "-c", "a | b")),
        (("CMD-SHELL", "a"), ("/bin/bash", "-ec"), ("/bin/bash", "-ec", "a")),
    ],
)
def test_what_is_executed(
    test: tuple[str, ...] | None, shell: tuple[str, ...] | None, words: tuple[str, ...] | None
) -> None:
    assert rules.command(ContainerConfig(healthcheck=HealthConfig(test=test), shell=shell)) == words


def test_without_a_check_nothing_is_executed() -> None:
    assert rules.command(ContainerConfig()) is None


def test_defaults() -> None:
    silent = HealthConfig()
    assert rules.patience(silent) == 30 * SECOND
    assert rules.pause(silent, rules.STARTING, 0) == 30 * SECOND
    assert rules.pause(HealthConfig(start_period=9), rules.STARTING, 8) == 5 * SECOND


@pytest.mark.parametrize(
    ("status", "since_start", "pause"),
    [(rules.STARTING, 9, 1), (rules.STARTING, 10, 2), (rules.HEALTHY, 9, 2), (rules.UNHEALTHY, 9, 2)],
)
def test_checks_come_more_often_in_the_start_period(status: str, since_start: int, pause: int) -> None:
    check = HealthConfig(interval=2, start_interval=1, start_period=10)
    assert rules.pause(check, status, since_start) == pause


def after(check: HealthConfig, *results: tuple[int, int]) -> Health:
    """What is known after results of (exit code, nanoseconds since the start)."""
    health = rules.begun(None)
    for code, since_start in results:
        health = rules.judged(check, health, HealthcheckResult(exit_code=code), since_start)
    return health


def test_failures_in_a_row_make_it_unhealthy() -> None:
    check = HealthConfig(retries=2)
    assert (after(check).status, after(check).failing_streak) == ("starting", 0)
    once, twice = after(check, (1, 0)), after(check, (1, 0), (-1, 0))
    assert (once.status, once.failing_streak) == ("starting", 1)
    assert (twice.status, twice.failing_streak) == ("unhealthy", 2)
    assert after(check, (1, 0), (0, 0), (1, 0)).status == "healthy"
    again = after(check, (1, 0), (1, 0), (0, 0))
    assert (again.status, again.failing_streak) == ("healthy", 0)
    assert after(HealthConfig(), (1, 0), (1, 0)).status == "starting"
    assert after(HealthConfig(), (1, 0), (1, 0), (1, 0)).status == "unhealthy"


def test_the_start_period_forgives_only_who_was_never_healthy() -> None:
    check = HealthConfig(retries=1, start_period=10)
    assert after(check, (1, 5), (1, 9)).status == "starting"
    assert after(check, (1, 5), (1, 10)).status == "unhealthy"
    assert after(check, (0, 5), (1, 9)).status == "unhealthy"


def test_the_last_five_are_kept_and_a_new_run_begins_anew() -> None:
    check = HealthConfig()
    health = after(check, *((code, 0) for code in range(1, 8)))
    assert [one.exit_code for one in health.log or ()] == [3, 4, 5, 6, 7]
    begun = rules.begun(health)
    assert (begun.status, begun.failing_streak, begun.log) == ("starting", 0, health.log)
    assert rules.halted(begun).status == "unhealthy"


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (None, ""),
        (Health(status="starting"), " (health: starting)"),
        (Health(status="healthy"), " (healthy)"),
        (Health(status="unhealthy"), " (unhealthy)"),
    ],
)
def test_what_ps_shows(health: Health | None, text: str) -> None:
    assert rules.shown(health) == text
