"""Health checks of running containers: a task for each, from its start to its end or pause, and across restarts of the daemon."""

import asyncio
import logging
import time

import msgspec

from sampan.daemon import health_rules, probe
from sampan.daemon.container import Container
from sampan.daemon.definition import HEALTH
from sampan.daemon.engine import Engine
from sampan.daemon.health_rules import STARTING
from sampan.errors import SampanError
from sampan.spec.health import Health, HealthcheckResult, HealthConfig
from sampan.state.store import Put

_log = logging.getLogger("sampan.daemon")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Health)


def decode(data: bytes) -> Health:
    """A stored row. Raises msgspec.ValidationError, DecodeError for what this program did not write."""
    return _decoder.decode(data)


def begin(engine: Engine, container: Container) -> None:
    """A container's program was started: it is `starting` until a check says more. Nothing where it has no check."""
    if health_rules.command(container.definition.config) is None:
        return
    _take(engine, container, health_rules.begun(container.health))
    go_on(engine, container)


def go_on(engine: Engine, container: Container) -> None:
    """Check a container that runs, from what is known of it: after an unpause, or under a new daemon."""
    config = container.definition.config
    check = config.healthcheck
    if check is None or health_rules.command(config) is None or container.health_task is not None:
        return
    work = _watch(engine, container, check)
    container.health_task = engine.spawn(work, f"health check of container {container.id[:12]}")


def halt(engine: Engine, container: Container) -> None:
    """The container has ended or is paused: a check that is under way is killed."""
    if container.health_task is not None:
        container.health_task.cancel()
        container.health_task = None
    if container.health is not None:
        _take(engine, container, health_rules.halted(container.health))


async def _watch(engine: Engine, container: Container, check: HealthConfig) -> None:
    started = container.state.started_ns
    while True:
        status = container.health.status if container.health else STARTING
        await asyncio.sleep(health_rules.pause(check, status, time.time_ns() - started) / 1e9)
        since_start = time.time_ns() - started
        result = await probe.check(engine, container, check)
        _judge(engine, container, check, result, since_start)


def _judge(
    engine: Engine, container: Container, check: HealthConfig, result: HealthcheckResult, since_start: int
) -> None:
    engine.checks += 1
    engine.failed_checks += result.exit_code != 0
    before = container.health or health_rules.begun(None)
    now = health_rules.judged(check, before, result, since_start)
    _take(engine, container, now)
    if now.status != before.status:
        engine.event(container, f"health_status: {now.status}")


def _take(engine: Engine, container: Container, now: Health) -> None:
    """Know `now`. Recorded where status or streak change, so that a container that stays healthy writes nothing."""
    before, container.health = container.health, now
    if before is not None and (before.status, before.failing_streak) == (now.status, now.failing_streak):
        return
    try:
        engine.store.commit([Put(HEALTH, container.id, _encoder.encode(now))])
    except SampanError as error:
        # The next change tries again; until then only a new daemon would know less.
        _log.warning("health of container %s is not recorded: %s", container.id[:12], error)
