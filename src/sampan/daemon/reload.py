"""SIGHUP: daemon.json is read again, and what Docker changes in a running daemon is changed; the rest waits for the next start.

A file that is wrong changes nothing: one line in the log, and what was goes on. What the file no longer gives stays, too.
"""

import asyncio
import json
import logging

import msgspec

from sampan.daemon import config, journal
from sampan.daemon.config import DaemonConfig
from sampan.daemon.config_file import shown
from sampan.daemon.engine import Engine
from sampan.daemon.flags import CommandLine
from sampan.errors import SampanError

_log = logging.getLogger("sampan.daemon")

RELOADED = {
    "debug": "debug",
    "labels": "labels",
    "live-restore": "live_restore",
    "shutdown-timeout": "shutdown_timeout",
    "default-shm-size": "shm_size",
    "default-ipc-mode": "ipc_mode",
    "default-cgroupns-mode": "cgroupns_mode",
}
"""Keys of the file that change a running daemon, and the setting that each is. Those without a meaning here are only told."""
_TRANSFERS = {"max-concurrent-downloads": 3, "max-concurrent-uploads": 5, "max-download-attempts": 5}
"""With Docker's defaults, which stand again where the file does not give them."""
_LISTS = ("allow-nondistributable-artifacts", "insecure-registries", "registry-mirrors")


async def keep_reloaded(engine: Engine, line: CommandLine, hung_up: asyncio.Event, host: str) -> None:
    """Reload whenever `hung_up` is set, for ever. `host` is the machine's name."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        path = config.file_of(line)
        _log.info("Got signal to reload configuration, reloading from: %s", path)
        try:
            reload(engine, config.load(line), host)
        except SampanError as error:
            _log.error("the configuration stays as it was: %s", error)


def reload(engine: Engine, read: DaemonConfig, host: str) -> None:
    """Take over what may change, and tell so: the event has Docker's attributes, with every value that now stands."""
    given = {setting: getattr(read, setting) for key, setting in RELOADED.items() if key in read.file}
    engine.config = now = msgspec.structs.replace(engine.config, **given, file=read.file)
    journal.use_level(now.log_level, debug=now.debug)
    for warning in read.warnings:
        _log.warning(warning)
    told = attributes(now)
    _log.info("Reloaded configuration: %s", json.dumps(told, sort_keys=True))
    engine.events.publish("daemon", "reload", engine.instance, {**told, "name": host})


def attributes(now: DaemonConfig) -> dict[str, str]:
    """The settings that a reload may change, as Docker's event writes them."""
    file = now.file
    return {
        "debug": shown(now.debug),
        "default-cgroupns-mode": now.cgroupns_mode,
        "default-ipc-mode": now.ipc_mode,
        "default-runtime": "runc",
        "default-shm-size": str(now.shm_size),
        "features": shown(file.get("features") or {}),
        "labels": _listed(now.labels),
        "live-restore": shown(now.live_restore),
        "runtimes": "runc:sampan",
        "shutdown-timeout": str(now.shutdown_timeout),
        **{key: str(file.get(key) or default) for key, default in _TRANSFERS.items()},
        **{key: _listed(file.get(key) or ()) for key in _LISTS},
    }


def _listed(values: object) -> str:
    return json.dumps(list(values) if isinstance(values, list | tuple) else [], separators=(",", ":"))
