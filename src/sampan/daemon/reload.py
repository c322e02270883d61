"""SIGHUP: daemon.json is read again, and what Docker changes in a running daemon is changed; the rest waits for the next start.

A file that is wrong changes nothing: one line in the log, and what was goes on. What the file no longer gives stays, too.
"""

import asyncio
import json
import logging
from dataclasses import replace

import msgspec

from sampan.daemon import config, journal, runtimes
from sampan.daemon.assembly import Assembly
from sampan.daemon.config import DaemonConfig
from sampan.daemon.config_file import shown
from sampan.daemon.flags import CommandLine
from sampan.errors import SampanError
from sampan.registry.settings import Settings

_log = logging.getLogger("sampan.daemon")

RELOADED = {
    "debug": "debug",
    "labels": "labels",
    "live-restore": "live_restore",
    "shutdown-timeout": "shutdown_timeout",
    "default-shm-size": "shm_size",
    "default-ipc-mode": "ipc_mode",
    "default-cgroupns-mode": "cgroupns_mode",
    "default-runtime": "default_runtime",
    "runtimes": "runtimes",
}
"""Keys of the file that change a running daemon, and the setting that each is. Those without a meaning here are only told."""
_TRANSFERS = {
    "max-concurrent-downloads": "max_downloads",
    "max-concurrent-uploads": "max_uploads",
    "max-download-attempts": "download_attempts",
}
"""As Docker has it, the defaults stand again where the file no longer gives them."""


async def keep_reloaded(parts: Assembly, line: CommandLine, hung_up: asyncio.Event) -> None:
    """Reload whenever `hung_up` is set, for ever."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        path = config.file_of(line)
        _log.info("Got signal to reload configuration, reloading from: %s", path)
        try:
            read = config.load(line)
            # All of them or none, as in Docker: who is no longer named is no longer asked.
            await parts.gate.use(read.authorization_plugins)
            reload(parts, read)
        except SampanError as error:
            _log.error("the configuration stays as it was: %s", error)


def reload(parts: Assembly, read: DaemonConfig) -> None:
    """Take over what may change, and tell so: the event has Docker's attributes, with every value that now stands."""
    given = {setting: getattr(read, setting) for key, setting in RELOADED.items() if key in read.file}
    given |= {setting: getattr(read, setting) for setting in _TRANSFERS.values()}
    given["authorization_plugins"] = parts.gate.names
    engine = parts.engine
    registries = _registries(engine.config.registries, read)
    engine.config = now = msgspec.structs.replace(engine.config, **given, registries=registries, file=read.file)
    journal.use_level(now.log_level, debug=now.debug)
    parts.images.let_travel(now.max_downloads, now.max_uploads)
    parts.registries.use(replace(registries, proxies=parts.registries.settings.proxies))
    for warning in read.warnings:
        _log.warning(warning)
    told = attributes(now)
    _log.info("Reloaded configuration: %s", json.dumps(told, sort_keys=True))
    engine.events.publish("daemon", "reload", engine.instance, {**told, "name": parts.facts.name})


def attributes(now: DaemonConfig) -> dict[str, str]:
    """The settings that a reload may change, as Docker's event writes them."""
    file, known = now.file, now.registries
    return {
        "debug": shown(now.debug),
        "default-cgroupns-mode": now.cgroupns_mode,
        "default-ipc-mode": now.ipc_mode,
        "default-runtime": now.default_runtime,
        "default-shm-size": str(now.shm_size),
        "features": shown(file.get("features") or {}),
        "labels": _listed(now.labels),
        "live-restore": shown(now.live_restore),
        "runtimes": runtimes.shown(now),
        "shutdown-timeout": str(now.shutdown_timeout),
        **{key: str(getattr(now, setting)) for key, setting in _TRANSFERS.items()},
        "allow-nondistributable-artifacts": _listed(file.get("allow-nondistributable-artifacts")),
        "insecure-registries": _listed((*sorted(known.insecure_names), *map(str, known.insecure_networks))),
        "registry-mirrors": _listed(known.mirrors),
    }


def _registries(before: Settings, read: DaemonConfig) -> Settings:
    """Mirrors and insecure registries of the file, where it gives them; the rest is as it was."""
    found = before
    if "registry-mirrors" in read.file:
        found = replace(found, mirrors=read.registries.mirrors)
    if "insecure-registries" in read.file:
        names, networks = read.registries.insecure_names, read.registries.insecure_networks
        found = replace(found, insecure_names=names, insecure_networks=networks)
    return found


def _listed(values: object) -> str:
    return json.dumps(list(values) if isinstance(values, list | tuple) else [], separators=(",", ":"))
