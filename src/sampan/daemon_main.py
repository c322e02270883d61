"""`sampand`: the command. Here, and only here, the daemon and the API meet."""
# ruff: noqa: E402

import gc

# What is imported lives as long as the daemon: looking through it again and again takes a fifth of the time until it is ready.
gc.disable()

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from sampan import crashpoints
from sampan.api.application import Application
from sampan.api.backend import Backend
from sampan.api.server import Listening, Server
from sampan.api.table import ROUTES
from sampan.daemon import adopt, config, exhausted, flags, journal, listeners, memory, presence, stacks, systemd
from sampan.daemon.assembly import Assembly, assemble, image_counts, image_users, take_over, volume_users
from sampan.daemon.buildkit_api import BuildKitApi
from sampan.daemon.builds_api import BuildsApi
from sampan.daemon.config import DaemonConfig
from sampan.daemon.containers_api import CheckpointsApi, ContainersApi, EventsApi, ExecsApi
from sampan.daemon.debug_api import DebugApi
from sampan.daemon.disk import DiskApi
from sampan.daemon.files_api import FilesApi
from sampan.daemon.flags import CommandLine
from sampan.daemon.images_api import ImagesApi
from sampan.daemon.log_packing import keep_packed
from sampan.daemon.manual import usage
from sampan.daemon.networks_api import NetworksApi
from sampan.daemon.prune_plans import PrunePlans
from sampan.daemon.registries_api import RegistriesApi
from sampan.daemon.reload import keep_reloaded
from sampan.daemon.shutdown import stop_all
from sampan.daemon.sizes import Sizes
from sampan.daemon.system import SystemApi
from sampan.daemon.threads import Threads
from sampan.daemon.volumes_api import VolumesApi
from sampan.errors import SampanError
from sampan.files.measure import end_measuring
from sampan.telemetry import wanted
from sampan.version import VERSION

if TYPE_CHECKING:
    from sampan.telemetry.tracing import Tracing

_log = logging.getLogger("sampan.daemon")
_GRACE_SECONDS = 0.5
"""For requests that are under way when the daemon ends."""


def main() -> None:
    """Run the daemon until SIGTERM or SIGINT. Exits with 1 and a line on stderr where it cannot."""
    began = time.monotonic()
    try:
        crashpoints.check()
        line = flags.parse(sys.argv[1:])
        if line.help:
            print(usage())
            return
        if line.version:
            print(f"Sampan version {VERSION}")
            return
        settings = config.load(line)
        if line.validate:
            print("configuration OK", file=sys.stderr)
            return
        journal.set_up(settings.log_level, settings.log_format, debug=settings.debug)
        exhausted.watch()
        _run(line, settings, began)
    except (SampanError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _run(line: CommandLine, settings: DaemonConfig, began: float) -> None:
    os.umask(0o022)
    memory.settle()
    data_lock = presence.prepare(settings.data_root, "data root", 0o710)
    exec_lock = presence.prepare(settings.exec_root, "exec root", 0o711)
    try:
        presence.write_pidfile(settings.pidfile)
        try:
            exhausted.run(_serve(line, settings, began))
        finally:
            presence.remove_pidfile(settings.pidfile)
    finally:
        exec_lock.release()
        data_lock.release()


async def _serve(line: CommandLine, settings: DaemonConfig, began: float) -> None:
    stopping, hung_up = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    loop.set_default_executor(Threads(thread_name_prefix="asyncio"))
    stacks.dump_at_signal(settings.exec_root)
    for warning in settings.warnings:
        _log.warning(warning)
    tracing = _trace()
    instance = presence.instance_of(settings.data_root)
    parts = await assemble(settings, instance, _own_socket(settings))
    try:
        kept = parts.collectors.take(parts.runtime.inherited())
        opened = listeners.open_listeners(settings, systemd.listening(os.environ), kept)
        await take_over(parts)
    except BaseException:
        # Files and sockets go with the process; the groups in which the limits were looked for do not.
        await parts.groups.retire(parts.engine)
        raise
    try:
        await parts.gate.use(settings.authorization_plugins)
    except SampanError:
        # Never unguarded: nothing was answered yet, and what runs goes on without a daemon.
        await parts.close()
        raise
    kept = [listener.sock for listener in opened if listener.sock.family == socket.AF_UNIX]
    parts.runtime.keep(kept)
    name = f"Sampan/{VERSION} (linux)"
    backend = _backend(parts)
    watched = _MetricsServer(parts, backend, name)
    if settings.metrics_addr:
        await watched.listen_at(settings.metrics_addr)
    await parts.collectors.serve(watched.listen, lambda sock: parts.runtime.keep([*kept, sock]))
    server = Server(Application(backend, ROUTES, name, experimental=settings.experimental, gate=parts.gate))
    await server.listen([Listening(listener.sock, listener.tls) for listener in opened])
    parts.engine.events.publish("daemon", "start", instance, {"name": parts.facts.name})
    # What lives as long as the daemon need not be looked at again by each collection.
    gc.collect()
    gc.freeze()
    gc.enable()
    systemd.notify(os.environ, "READY=1")
    _log.info("API listen on %s", ", ".join(listener.host for listener in opened))
    _log.info("ready after %d ms", (time.monotonic() - began) * 1000)
    _ = parts.engine.spawn(adopt.start_wanted(parts.engine), "start of containers")
    _ = parts.engine.spawn(keep_packed(parts.engine), "packing of logs")
    _ = parts.engine.spawn(memory.keep_trimmed(), "giving back of memory")
    _ = parts.engine.spawn(keep_reloaded(parts, line, hung_up), "reload of the configuration")
    await stopping.wait()
    systemd.notify(os.environ, "STOPPING=1")
    await watched.close()
    await _end(parts, server)
    if tracing is not None:
        await asyncio.to_thread(tracing.flush)


def _trace() -> "Tracing | None":
    """Spans, where the environment asks for them: from here on work of every kind has its own. What is wrong with that is told."""
    try:
        if not wanted.traces(os.environ):
            return None
        from sampan.telemetry.tracing import Tracing
    except ValueError as error:
        _log.warning("no traces: %s", error)
        return None
    except ImportError as error:
        _log.warning("no traces: %s is not installed: pip install 'sampan[otel]'", error.name)
        return None
    from sampan.api import traced as requests
    from sampan.buildkit import traced as calls
    from sampan.daemon import traced as work

    tracing = Tracing("sampand")
    requests.hold_spans(tracing)
    calls.hold_spans(tracing)
    work.hold_spans(tracing)
    _log.info("traces are sent by OTLP")
    return tracing


class _MetricsServer:
    """Metrics on sockets of their own. With the first the clock is held to the verbs, and what makes the page is loaded."""

    def __init__(self, parts: Assembly, backend: Backend, name: str) -> None:
        self._parts = parts
        self._backend = backend
        self._name = name
        self._server: Server | None = None

    async def listen(self, sock: socket.socket) -> None:
        if self._server is None:
            self._server = self._made()
        await self._server.listen([Listening(sock)])

    async def listen_at(self, address: str) -> None:
        for sock in listeners.open_metrics(address):
            await self.listen(sock)
            # The server has its own copy, and no later daemon takes these over.
            sock.close()
        _log.info("metrics listen on http://%s/metrics", address)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close(_GRACE_SECONDS)

    def _made(self) -> Server:
        from sampan.api.routes.metrics import route
        from sampan.daemon.measured import hold_clock
        from sampan.daemon.metrics import Metrics
        from sampan.daemon.system import identity

        engine = self._parts.engine
        metrics = Metrics(engine, self._parts.facts, identity(engine))
        hold_clock(self._backend, metrics)
        return Server(Application(self._backend, [route(metrics.page)], self._name))


def _own_socket(settings: DaemonConfig) -> str:
    return next((host.removeprefix("unix://") for host in settings.hosts if host.startswith("unix://")), "")


def _backend(parts: Assembly) -> Backend:
    engine = parts.engine
    images = ImagesApi(
        parts.images,
        lambda image: image_users(engine, image),
        lambda: image_counts(engine),
        parts.workers,
        parts.fetcher,
    )
    volumes = VolumesApi(
        parts.volumes,
        engine.volumes,
        parts.plugin_volumes,
        lambda name: volume_users(engine.containers, name),
        parts.workers,
        engine.events,
    )
    plans = PrunePlans(
        engine,
        parts.images,
        lambda image: image_users(engine, image),
        parts.networks,
        parts.volumes,
        lambda name: volume_users(engine.containers, name),
        parts.build_cache,
        parts.workers,
    )
    sizes = Sizes(engine, parts.volumes, parts.snapshots, parts.workers)
    builds = BuildsApi(
        engine,
        parts.images,
        parts.snapshots,
        parts.build_cache,
        parts.runtime,
        parts.fetcher,
        lambda: parts.registries.settings,
        parts.registries,
    )
    system = SystemApi(engine, parts.images, parts.facts, lambda: parts.registries.settings)
    networks = NetworksApi(engine, parts.networks)
    disk = DiskApi(engine, images, volumes, parts.build_cache, plans, sizes)
    return Backend(
        containers=ContainersApi(engine),
        files=FilesApi(engine, parts.images, parts.workers),
        execs=ExecsApi(engine),
        checkpoints=CheckpointsApi(engine),
        images=images,
        builds=builds,
        buildkit=BuildKitApi(builds),
        registries=RegistriesApi(parts.registries, parts.asking),
        volumes=volumes,
        networks=networks,
        plugins=parts.plugins,
        system=system,
        debug=DebugApi(engine, parts.facts, system, images, volumes, networks, disk, parts.workers),
        disk=disk,
        build_cache=parts.build_cache,
        events=EventsApi(engine),
    )


async def _end(parts: Assembly, server: Server) -> None:
    engine = parts.engine
    began = time.monotonic()
    engine.shutting_down = True
    end_measuring()
    if not engine.config.live_restore:
        await stop_all(engine)
    await server.close(_GRACE_SECONDS)
    await parts.close()
    _log.info("ended after %d ms", (time.monotonic() - began) * 1000)


if __name__ == "__main__":
    main()
