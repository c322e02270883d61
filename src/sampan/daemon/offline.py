"""`system check` while no daemon runs: the same look at the same store, under the lock that a daemon would hold.

    daemon.json, --data-root ─▶ lock ─▶ state, content, layers ─▶ images.check ─▶ steps

The stores are opened as a daemon opens them: what was half made or thrown away goes, what is whole and unneeded is reported.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from sampan.build.cache.holdings import TABLE, Holdings
from sampan.content.store import Content
from sampan.daemon import config, flags, presence
from sampan.daemon.config import DaemonConfig
from sampan.daemon.definition import DEFINITIONS, STATES, decode_definition, decode_state
from sampan.daemon.disk import shown
from sampan.daemon.storage import open_layers
from sampan.errors import NotFound, Unauthorized
from sampan.images.host_layer import HostLayer
from sampan.images.images import Images
from sampan.images.removal import ImageUser, Users
from sampan.plugins.installed import Installed
from sampan.spec.check import CheckStep
from sampan.spec.ids import ContainerId, ImageId
from sampan.state.records import decoded
from sampan.state.store import Store

_STATE = "sampan.db"


def check(arguments: list[str], repair: bool) -> Iterator[CheckStep]:
    """Look at everything below the data root that `sampand`, started with these arguments, would use.

    For root. Raises NotFound where there is no data root, System where a daemon has it, InvalidParameter for arguments and files.
    """
    settings = config.load(flags.parse(arguments))
    if os.geteuid():
        raise Unauthorized(f"only root can look at {settings.data_root}")
    if not (settings.data_root / _STATE).is_file():
        raise NotFound(f"{settings.data_root} is no data root: nothing was ever stored there")
    os.umask(0o022)
    held = presence.prepare(settings.data_root, "data root", 0o710)
    try:
        yield from _checked(settings, repair)
    finally:
        held.release()


def _checked(settings: DaemonConfig, repair: bool) -> Iterator[CheckStep]:
    store = Store(settings.data_root / _STATE)
    snapshots = open_layers(settings, Installed(settings.exec_root / "drivers", settings.data_root / "drivers", {}))
    content = Content(settings.data_root / "content")
    host_layer = HostLayer(_private(settings))
    images = Images(
        store, content, snapshots, host_layer=host_layer, keepers=[Holdings(store.table(TABLE))], sweep=False
    )
    try:
        for step in images.check(_users(store), repair):
            yield shown(step)
    finally:
        images.close()
        snapshots.close()
        store.close()


def _private(settings: DaemonConfig) -> tuple[str, str]:
    return str(Path(settings.data_root)), str(Path(settings.exec_root))


def _users(store: Store) -> Users:
    """Which containers were made from an image. One that ran when the daemon ended may run still: containers outlive it."""
    states = store.table(STATES)
    found: dict[ImageId, list[ImageUser]] = {}
    for key, data in store.table(DEFINITIONS).items():
        definition = decoded(DEFINITIONS, key, data, decode_definition)
        running = key in states and decoded(STATES, key, states[key], decode_state).alive
        for image in {definition.image_id, *(point.image for point in definition.mounts)}:
            if image:
                found.setdefault(ImageId(image), []).append(ImageUser(ContainerId(key), running))
    return lambda image: found.get(image, ())
