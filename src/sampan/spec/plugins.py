"""Managed plugins: the configuration that comes with one, what was set of it, and how the API shows both.

A plugin's `config.json` has the API's own names, so the same types read it. What Docker keeps as null stays null: clients
and digests of configurations that are written again depend on it.
"""

import msgspec

from sampan.spec.document import Document, Names, sent, wire


class PluginArgs(Document, frozen=True):
    """Words behind the entry point."""

    description: str = sent("")
    name: str = sent("")
    settable: Names | None = sent(None)
    value: Names | None = sent(None)


class PluginEnv(Document, frozen=True):
    """One variable; without a value it is not there until somebody sets it."""

    description: str = sent("")
    name: str = sent("")
    settable: Names | None = sent(None)
    value: str | None = sent(None)


class PluginMount(Document, frozen=True):
    """Something of the host's that the plugin sees. `source` null has to be set before it can be enabled."""

    description: str = sent("")
    destination: str = sent("")
    name: str = sent("")
    options: Names | None = sent(None)
    settable: Names | None = sent(None)
    source: str | None = sent(None)
    type: str = sent("")


class PluginDevice(Document, frozen=True):
    """A device node of the host's, under the same path inside."""

    description: str = sent("")
    name: str = sent("")
    path: str | None = sent(None)
    settable: Names | None = sent(None)


class PluginInterface(Document, frozen=True):
    """Where it listens, below /run/docker/plugins, and what it implements (`docker.volumedriver/1.0`)."""

    protocol_scheme: str = ""
    socket: str = sent("")
    types: Names | None = sent(None)


class PluginLinux(Document, frozen=True):
    """What it asks for beyond a container's usual rights."""

    allow_all_devices: bool = sent(False)
    capabilities: Names | None = sent(None)
    devices: tuple[PluginDevice, ...] | None = sent(None)


class PluginNetwork(Document, frozen=True):
    """`host`, `bridge`, `none` or ""."""

    type: str = sent("")


class PluginRootFs(msgspec.Struct, frozen=True, omit_defaults=True):
    """The layers, as they are named in the plugin's configuration."""

    type: str = ""
    diff_ids: tuple[str, ...] | None = sent(None)


class PluginUser(Document, frozen=True, rename=wire(uid="UID", gid="GID")):
    """Numbers inside."""

    gid: int = 0
    uid: int = 0


class PluginConfig(Document, frozen=True, rename=wire(rootfs="rootfs")):
    """`config.json`. Sources: Docker's "Plugin Config Version 1 of Plugin V2", and the API's schema."""

    args: PluginArgs = sent(PluginArgs())
    description: str = sent("")
    docker_version: str = ""
    documentation: str = sent("")
    entrypoint: Names | None = sent(None)
    env: tuple[PluginEnv, ...] | None = sent(None)
    interface: PluginInterface = sent(PluginInterface())
    ipc_host: bool = sent(False)
    linux: PluginLinux = sent(PluginLinux())
    mounts: tuple[PluginMount, ...] | None = sent(None)
    network: PluginNetwork = sent(PluginNetwork())
    pid_host: bool = sent(False)
    propagated_mount: str = sent("")
    user: PluginUser = sent(PluginUser())
    work_dir: str = sent("")
    rootfs: PluginRootFs | None = None


class PluginSettings(Document, frozen=True):
    """What holds at the next start: the configuration's values, as far as nobody has set others."""

    args: Names = sent(())
    devices: tuple[PluginDevice, ...] = sent(())
    env: Names = sent(())
    mounts: tuple[PluginMount, ...] = sent(())


class Plugin(Document, frozen=True):
    """One plugin as GET /plugins shows it."""

    config: PluginConfig = sent(PluginConfig())
    enabled: bool = sent(False)
    id: str = ""
    name: str = sent("")
    plugin_reference: str = ""
    settings: PluginSettings = sent(PluginSettings())


class PluginPrivilege(Document, frozen=True):
    """A right that a plugin asks for, and that whoever installs it grants."""

    name: str = sent("")
    description: str = sent("")
    value: Names | None = sent(None)
