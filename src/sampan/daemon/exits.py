"""Exits: what follows the end of a program: records, events, whoever waits, the next run, or the removal."""

import asyncio
import logging

from sampan.crashpoints import crash_point
from sampan.daemon import exit_cause, health, oom, restart_policy
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.remove import remove_locked
from sampan.daemon.signals import parse_signal
from sampan.daemon.start import start_locked
from sampan.daemon.states import Status
from sampan.errors import SampanError
from sampan.runtime.request import Exit
from sampan.spec.containers import ExitCause, ExitRestart
from sampan.spec.ids import ContainerId
from sampan.spec.requests import RemoveOptions

_log = logging.getLogger("sampan.daemon")
_RECORD_AGAIN = 5.0


def on_exit(engine: Engine, container_id: ContainerId, ended: Exit) -> None:
    """The runtime says that a container's program has ended. Runs on the event loop, between the verbs."""
    container = engine.containers.get(container_id)
    if container is None:
        engine.runtime.forget(container_id)
        return
    if container.starting:
        # The start has not had its turn on the event loop yet; it comes back to this.
        container.early_exit = ended
        return
    if not container.state.alive:
        return
    _settle(engine, container, ended)


def why(container: Container, ended: Exit, *, delay: float | None, found: bool = False) -> ExitCause:
    """The cause of an end. `delay` as the restart policy decided; `found`: nobody was there to hear of it."""
    policy = container.definition.host.restart_policy
    most = f":{policy.maximum_retry_count}" if policy.maximum_retry_count else ""
    stop_signal = container.definition.config.stop_signal or "TERM"
    return exit_cause.cause(
        ended,
        victims=", ".join(container.victims),
        request=exit_cause.request_that_counts(
            container.asked, ended, exit_cause.signal_name(parse_signal(stop_signal))
        ),
        health=container.health.status if container.health is not None else "",
        restart=ExitRestart(
            policy=(policy.name or "no") + most,
            again=delay is not None,
            delay=delay or 0.0,
            count=container.state.restarts + (delay is not None),
        ),
        found=found,
    )


def _settle(engine: Engine, container: Container, ended: Exit, *, found: bool = False) -> None:
    ended = oom.counted(engine, container, ended)
    engine.shm.release(container.id)
    engine.volumes.let_go(container.id)
    engine.sampler.ended(container.id)
    engine.execs.container_ended(container.id)
    health.halt(engine, container)
    decision = _decide(engine, container, ended)
    oom.ended(engine, container, ended)
    state = container.state
    cause = why(container, ended, delay=decision.delay, found=found)
    container.state = state.to(
        Status.EXITED if decision.delay is None else Status.RESTARTING,
        pid=0,
        exit_code=ended.code,
        # The monitor does not see what was counted in a group that the program has removed.
        oom_killed=ended.oom_killed or container.oom_kills > 0,
        finished_ns=ended.ended_ns,
        restarts=state.restarts + (decision.delay is not None),
        delay=decision.delay or 0.0,
        cause=cause,
    )
    goes = decision.delay is None and container.definition.host.auto_remove and not container.restarting_by_hand
    ran = max(0, ended.ended_ns - state.started_ns) // 10**9
    engine.event(container, "die", {"exitCode": str(ended.code), "execDuration": str(ran), "cause": cause.text})
    engine.shipping.ended(container.id)
    engine.links(container, "unmount")
    engine.wiring.release(container.id)
    container.tell_exit()
    if goes:
        # The removal's own commit takes the state along.
        _ = engine.spawn(_remove(engine, container), f"removal of container {container.id[:12]}")
        return
    _record(engine, container)
    if decision.delay is not None:
        wait_for_restart(engine, container)


def _decide(engine: Engine, container: Container, ended: Exit) -> restart_policy.Decision:
    policy = container.definition.host.restart_policy
    return restart_policy.decide(
        policy.name,
        policy.maximum_retry_count,
        exit_code=ended.code,
        restarts=container.state.restarts,
        ran=(ended.ended_ns - container.state.started_ns) / 1e9,
        last_delay=container.state.delay,
        called_off=engine.shutting_down or container.stop_requested or container.restarting_by_hand,
        asked_to_stop=container.state.asked_to_stop,
    )


def _record(engine: Engine, container: Container) -> None:
    """Commit an exit; the monitor's record of it goes only afterwards. On a full disk it is tried again.

    The next run's record stands in the same place, so its start waits for this (`Container.settled`).
    """
    crash_point("exit-before-commit")
    loop = asyncio.get_running_loop()
    run = container.state.started_ns
    done = engine.record(container)
    ending = container.ending = loop.create_future()

    def settled() -> None:
        ending.set_result(None)
        if engine.containers.get(container.id) is not container or container.state.started_ns != run:
            return
        if done.exception() is not None:
            if not engine.shutting_down:
                loop.call_later(_RECORD_AGAIN, _record, engine, container)
        elif not container.starting and not container.state.alive:
            crash_point("exit-after-commit")
            engine.runtime.forget(container.id)

    done.add_done_callback(lambda _: loop.call_soon_threadsafe(settled))


async def _remove(engine: Engine, container: Container) -> None:
    """Remove what goes with its run. On a full disk it is tried again."""
    while not engine.shutting_down:
        async with container.lock:
            if engine.containers.get(container.id) is not container or container.state.running:
                return
            try:
                await remove_locked(engine, container, RemoveOptions(force=True, volumes=True))
            except SampanError as error:
                _log.error("container %s could not be removed: %s", container.id[:12], error)
            else:
                return
        await asyncio.sleep(_RECORD_AGAIN)


def wait_for_restart(engine: Engine, container: Container, *, passed: float = 0.0) -> None:
    """Start a container that is `restarting` when its delay is over, of which `passed` seconds are."""
    work = _restart(engine, container, max(0.0, container.state.delay - max(0.0, passed)))
    container.restart_task = engine.spawn(work, f"restart of container {container.id[:12]}")


async def _restart(engine: Engine, container: Container, delay: float) -> None:
    await asyncio.sleep(delay)
    await engine.ready.wait()
    async with container.lock:
        if container.state.status is not Status.RESTARTING or engine.shutting_down:
            return
        container.restart_task = None
        try:
            await start_locked(engine, container, explain=False, restarts=container.state.restarts)
        except SampanError as error:
            _log.error("container %s could not be restarted: %s", container.id[:12], error)
            container.state = container.state.to(Status.EXITED)
            engine.record(container)
            container.tell_exit()
            if container.definition.host.auto_remove:
                await remove_locked(engine, container, RemoveOptions(force=True, volumes=True))


def adopt_exit(engine: Engine, container: Container, ended: Exit) -> None:
    """A program that ran under an earlier daemon has ended: what fell due since is made up for."""
    _settle(engine, container, ended, found=True)
