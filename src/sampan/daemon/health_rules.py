"""What a health check's results mean: status, streak and the time to the next one, in Docker's rules. Pure."""

import msgspec

from sampan.spec.containers import ContainerConfig
from sampan.spec.health import Health, HealthcheckResult, HealthConfig

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_SECOND = 10**9
_INTERVAL = 30 * _SECOND
_TIMEOUT = 30 * _SECOND
_START_INTERVAL = 5 * _SECOND
_RETRIES = 3
_KEPT = 5
_SHELL = ("/bin/sh", "-c")


def command(config: ContainerConfig) -> tuple[str, ...] | None:
    """What a check executes; None where the container has none. A kind that Docker does not know is none, as there."""
    test = config.healthcheck.test if config.healthcheck else None
    if not test:
        return None
    match test[0]:
        case "CMD":
            return test[1:]
        case "CMD-SHELL":
            return (*(config.shell or _SHELL), *test[1:])
        case _:
            return None


def patience(check: HealthConfig) -> int:
    """Nanoseconds that one check may take."""
    return check.timeout or _TIMEOUT


def pause(check: HealthConfig, status: str, since_start: int) -> int:
    """Nanoseconds to the next check, `since_start` after the container's start."""
    if status == STARTING and since_start < check.start_period:
        return check.start_interval or _START_INTERVAL
    return check.interval or _INTERVAL


def begun(earlier: Health | None) -> Health:
    """A run begins: what earlier runs logged stays to be seen."""
    return Health(status=STARTING, log=earlier.log if earlier else ())


def halted(health: Health) -> Health:
    """Nothing is checked any more: the container is paused or has ended. Docker calls that unhealthy."""
    return msgspec.structs.replace(health, status=UNHEALTHY)


def judged(check: HealthConfig, health: Health, result: HealthcheckResult, since_start: int) -> Health:
    """What is known after a check that began `since_start` nanoseconds after the container's start."""
    status, streak = health.status, health.failing_streak
    if result.exit_code == 0:
        status, streak = HEALTHY, 0
    elif status != STARTING or since_start >= check.start_period:
        streak += 1
        if streak >= (check.retries or _RETRIES):
            status = UNHEALTHY
    return Health(status=status, failing_streak=streak, log=(*(health.log or ()), result)[-_KEPT:])


def shown(health: Health | None) -> str:
    """What `docker ps` writes behind "Up 3 minutes"; empty where nothing is checked."""
    if health is None:
        return ""
    return " (health: starting)" if health.status == STARTING else f" ({health.status})"
