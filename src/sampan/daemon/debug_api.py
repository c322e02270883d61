"""`system debug` by a daemon that answers: what it alone knows, beside what `debug_report` finds on the host."""

import asyncio
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from sampan.daemon import journal, stacks
from sampan.daemon.container import Container
from sampan.daemon.disk import DiskApi
from sampan.daemon.engine import Engine
from sampan.daemon.images_api import ImagesApi
from sampan.daemon.networks_api import NetworksApi
from sampan.daemon.system import SystemApi, identity
from sampan.daemon.times import rfc3339
from sampan.daemon.volumes_api import VolumesApi
from sampan.daemon.workers import Workers
from sampan.errors import SampanError
from sampan.host.facts import Facts
from sampan.spec.events import Message
from sampan.spec.requests import ImageListOptions

if TYPE_CHECKING:
    from sampan.daemon.debug_report import Report

_CHECK_SECONDS = 120.0
_NO_SECRETS_OF = ("labels",)
"""Members of `info` that a user fills with what he likes."""


class DebugApi:
    """Implements `api.backend.Debug`."""

    def __init__(
        self,
        engine: Engine,
        facts: Facts,
        system: SystemApi,
        images: ImagesApi,
        volumes: VolumesApi,
        networks: NetworksApi,
        disk: DiskApi,
        workers: Workers,
    ) -> None:
        self._engine = engine
        self._facts = facts
        self._system = system
        self._images = images
        self._volumes = volumes
        self._networks = networks
        self._disk = disk
        self._workers = workers

    async def report(self) -> bytes:
        """See the Protocol."""
        # Not before it is asked for: it brings much that a daemon can do without.
        from sampan.daemon import debug_report

        engine = self._engine
        report = debug_report.Report("answers")
        # Before all that follows, which has tasks and threads of its own.
        report.put("stacks.txt", stacks.text())
        report.add("log.txt", _log)
        report.put("version.json", await self._system.version())
        info = msgspec.to_builtins(await self._system.info())
        report.put("info.json", {name: value for name, value in info.items() if name.lower() not in _NO_SECRETS_OF})
        report.put("state/containers.json", [_container(engine, one) for one in engine.containers])
        report.put("state/events.json", [_event(message) for message in engine.events.recent])
        await self._state(report)
        await self._rules(report)
        await self._metrics(report)
        await self._check(report)
        await self._workers.run(debug_report.of_host, report, engine.config, engine.instance)
        return await self._workers.run(report.archive)

    async def _state(self, report: "Report") -> None:
        images = await self._images.list(ImageListOptions(all=True))
        report.put(
            "state/images.json",
            [
                {"id": one.id, "created": one.created, "size": one.size, "names": len(one.repo_tags or ())}
                for one in images
            ],
        )
        networks = await self._networks.list({})
        report.put(
            "state/networks.json",
            [
                {"id": one.id, "name": one.name, "driver": one.driver, "options": sorted(one.options or ())}
                for one in networks
            ],
        )
        volumes = await self._volumes.list({})
        report.put(
            "state/volumes.json",
            [
                {"name": one.name, "driver": one.driver, "options": sorted(one.options or ())}
                for one in volumes.volumes or ()
            ],
        )

    async def _rules(self, report: "Report") -> None:
        for network in await self._networks.list({}):
            try:
                found = await self._networks.rules(network.name)
            except SampanError as error:
                report.lack(f"rules of {network.name}", error)
            else:
                report.put(f"rules/{network.id[:12]}.nft", found.text)

    async def _metrics(self, report: "Report") -> None:
        from sampan.daemon.metrics import Metrics

        page = (await Metrics(self._engine, self._facts, identity(self._engine)).page()).decode()
        # Times are held only where metrics-addr is set, and by that page's own clock.
        told = [line for line in page.splitlines() if "s_seconds" not in line]
        report.put("metrics.txt", "\n".join([*told, ""]))

    async def _check(self, report: "Report") -> None:
        told = []
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                async for step in self._disk.check(False):
                    told += [step] if step.progress is None else []
        except (TimeoutError, SampanError) as error:
            report.lack("check.json", error)
        report.put("check.json", told)


def _container(engine: Engine, container: Container) -> dict[str, object]:
    definition, state, host = container.definition, container.state, container.definition.host
    return {
        "id": container.id,
        "name": container.name,
        "image": definition.image_id,
        "created": rfc3339(definition.created_ns),
        "status": state.status,
        "pid": state.pid,
        "exit code": state.exit_code,
        "cause": state.cause.kind if state.cause is not None else "",
        "failed to start": bool(state.error),
        "restarts": state.restarts,
        "started": rfc3339(state.started_ns),
        "finished": rfc3339(state.finished_ns),
        "health": container.health.status if container.health is not None else "",
        "restart policy": host.restart_policy.name,
        "network mode": host.network_mode.partition(":")[0],
        "log driver": host.log_config.type,
        "privileged": host.privileged,
        "mounts": [point.type for point in definition.mounts],
        "users of its own": definition.users is not None,
        "clients that read its log": container.log_readers,
        "busy": container.lock.locked(),
        "groups": len(engine.runtime.groups(container.id)) if state.alive else 0,
    }


def _event(message: Message) -> dict[str, object]:
    """Without attributes, among which are labels; an exec's command stands behind a colon."""
    return {
        "time": rfc3339(message.time_nano),
        "type": message.type,
        "action": message.action.partition(":")[0],
        "id": message.actor.id,
    }


def _log() -> str:
    """Where the log goes to a file, the end of that; else the last lines that this process wrote."""
    if stat.S_ISREG(os.fstat(2).st_mode):
        from sampan.daemon.debug_report import log_of

        return log_of("/proc/self/fd/2")
    return journal.recent()
