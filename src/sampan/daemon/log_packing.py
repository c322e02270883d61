"""The option compress: log files that were renamed away are packed here, beside the programs that write on."""

import asyncio
import logging
import os

from sampan.daemon import log_settings
from sampan.daemon.engine import Engine
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.daemon")
_PAUSE = 1.0
"""Between two looks; each costs one stat(2) for a container whose log is packed."""


async def keep_packed(engine: Engine) -> None:
    """Run beside everything else until cancelled. Files that nobody packs, because no daemon runs, keep within the bound too."""
    paths: dict[ContainerId, str] = {}
    while True:
        present = {container.id for container in engine.containers}
        for gone in paths.keys() - present:
            del paths[gone]
        for container in engine.containers:
            if container.id not in paths:
                packed = log_settings.settings(container.definition).compress
                paths[container.id] = (
                    log_settings.path(engine.directory(container.id), container.definition) if packed else ""
                )
        for path in [path for path in paths.values() if path and os.path.exists(f"{path}.1")]:
            try:
                await asyncio.to_thread(_pack, path)
            except OSError as error:
                _log.warning("log file %s stays unpacked: %s", path, error)
        await asyncio.sleep(_PAUSE)


def _pack(path: str) -> None:
    # Loaded by the few who compress their logs.
    from sampan.logs.compression import pack_renamed

    pack_renamed(path)
