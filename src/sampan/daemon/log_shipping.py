"""Logs that go elsewhere: what the shipper is told of a container's runs, and how long its removal waits for it."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sampan.daemon import log_settings
from sampan.daemon.definition import Definition
from sampan.daemon.times import rfc3339
from sampan.errors import System
from sampan.files.atomic import make_directory
from sampan.logs.attributes import extra
from sampan.logs.options import SHIPPED, is_shipped
from sampan.logs.shipping.jobs import Facts, Job, end_of, is_sent, job_file, read_position, write_job
from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Address
from sampan.runtime.shipper_port import ShipperPort
from sampan.spec.ids import ContainerId

if TYPE_CHECKING:
    from sampan.plugins.log_fifo import Target

_log = logging.getLogger("sampan.daemon")
_REMOVAL_SECONDS = 30.0
"""How long the log of a removed container waits for its collector."""
_PAUSE = 0.1
_CATCH_UP_SECONDS = 5.0
_SHORT_PAUSE = 0.02
READING = "reading-"
"""Begins the names of FIFOs that are there for a plugin's sake: nothing is written to them, and none outlives the daemon."""


class LogShipping:
    """Jobs lie below the exec-root, one for each container whose driver sends its log elsewhere."""

    def __init__(
        self,
        exec_root: Path,
        data_root: Path,
        environment: dict[str, str],
        find: Callable[[str], Address | None] = lambda _: None,
    ) -> None:
        """`find` tells where the plugin of that name listens."""
        self._find = find
        fifos = exec_root / "logging"
        self._fifos = str(fifos)
        self._directory = exec_root / "shipping"
        self._data_root = data_root
        self._port = ShipperPort(self._directory, data_root / "containers", (fifos, data_root / "plugins"), environment)
        self._jobs: dict[ContainerId, Job] = {}

    def starts(self, definition: Definition) -> None:
        """A run begins; before it does, so that nothing it says is missed. A fault costs the shipping, not the start."""
        if is_shipped(definition.host.log_config.type):
            self._put(self._job(definition, running=True))

    def ended(self, container: ContainerId) -> None:
        """A run has ended, or did not come about: nothing more will be written."""
        job = self._jobs.get(container)
        if job is not None and job.running:
            self._put(msgspec.structs.replace(job, running=False))

    def adopt(self, definition: Definition, *, running: bool, ran: bool) -> None:
        """A container that a new daemon finds: of what it has said, something may be left to send."""
        if ran and is_shipped(definition.host.log_config.type):
            try:
                job = self._job(definition, running=running)
            except System as error:  # its name, which the tag takes apart, has changed since
                _log.error("container %s: its log is not sent: %s", definition.id[:12], error)
                return
            self._put(job)

    def is_due(self, container: ContainerId) -> bool:
        """Whether something of its log is still to be sent."""
        job = self._jobs.get(container)
        return job is not None and (job.running or read_position(job.position).finished != job.run)

    async def settle(self, container: ContainerId) -> None:
        """Wait until a container's log is sent, for a bounded time, and forget it. Its files may go then."""
        self.ended(container)
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while self.is_due(container) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(_PAUSE)
        if self.is_due(container):
            _log.warning("container %s: the end of its log could not be sent before it went", container[:12])
        self.forget(container)

    async def catch_up(self, container: ContainerId) -> None:
        """Wait until what it has said before now is sent, for a bounded time."""
        job = self._jobs.get(container)
        if job is None:
            return
        end = await asyncio.to_thread(end_of, job.log)
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while time.monotonic() < deadline:
            if not self.is_due(container) or (job.running and is_sent(read_position(job.position), end)):
                return
            await asyncio.sleep(_SHORT_PAUSE)

    def target(self, definition: Definition) -> "Target | None":
        """What there is to know of the container's log driver, a plugin; None where it is nowhere. Raises PluginFailed."""
        return _target(definition, self._find(definition.host.log_config.type), self._fifos)

    def forget(self, container: ContainerId) -> None:
        """The container is gone."""
        if self._jobs.pop(container, None) is not None:
            job_file(self._directory, container).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Drop jobs of containers that nobody knows, and FIFOs of an earlier daemon. Called once all are adopted."""
        if not self._directory.is_dir():
            return
        for path in self._directory.glob("*.job"):
            if path.stem not in self._jobs:
                path.unlink(missing_ok=True)
        for path in Path(self._fifos).glob(f"{READING}*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the shipper; it goes on."""
        self._port.close()

    def _put(self, job: Job) -> None:
        self._jobs[ContainerId(job.facts.id)] = job
        try:
            make_directory(self._directory)
            make_directory(Path(self._fifos))
            write_job(self._directory, job)
            self._port.ensure()
        except OSError as error:
            _log.error("container %s: its log is not sent: %s", job.facts.id[:12], error)

    def _job(self, definition: Definition, *, running: bool) -> Job:
        driver = definition.host.log_config.type
        plugin = ""
        if driver not in SHIPPED:
            try:
                target = self.target(definition)
                plugin = "" if target is None else msgspec.json.encode(target).decode()
            except PluginFailed as error:
                _log.error("container %s: %s", definition.id[:12], error)
        return _job(definition, self._data_root, plugin, run=time.time_ns(), running=running)


def _target(definition: Definition, address: Address | None, fifos: str) -> "Target | None":
    if address is None:
        return None
    from sampan.plugins.log_driver import Info
    from sampan.plugins.log_fifo import Target

    config = definition.config
    info = Info(
        config=definition.host.log_config.config or {},
        container_id=definition.id,
        container_name="/" + definition.name,
        container_entrypoint=definition.path,
        container_args=definition.args,
        container_image_id=definition.image_id or "",
        container_image_name=definition.image,
        container_created=rfc3339(definition.created_ns),
        container_env=tuple(config.env or ()),
        container_labels=config.labels or {},
    )
    return Target(address, fifos, info)


def _job(definition: Definition, data_root: Path, plugin: str, *, run: int, running: bool) -> Job:
    asked, config = definition.host.log_config, definition.config
    options = dict(asked.config or {})
    facts = Facts(
        id=definition.id,
        name=definition.name,
        image_id=definition.image_id or "",
        image_name=definition.image,
        command=" ".join((definition.path, *definition.args)),
        created=rfc3339(definition.created_ns),
        tag="" if asked.type not in SHIPPED else log_settings.rendered_tag(definition),
        hostname=os.uname().nodename,
        extra={} if asked.type not in SHIPPED else extra(options, config.labels or {}, config.env or ()),
    )
    log = log_settings.path(f"{data_root}/containers/{definition.id}", definition)
    return Job(asked.type, options, log, facts, run, running, plugin)
