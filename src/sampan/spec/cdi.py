"""Specifications of the Container Device Interface: what a container must be given so that it can use a device.

Source: the CDI specification, versions 0.3 to 1.0. Members that are not listed here are passed over, as its own reader does.
"""

from msgspec import Struct


class DeviceNode(Struct, frozen=True, rename="camel"):
    """A node below /dev. Without type or numbers it is as the node at `host_path` (or `path`) on the host."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class BindMount(Struct, frozen=True, rename="camel"):
    """A mount of the host's; `options` are mount(8)'s words."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""


class Hook(Struct, frozen=True, rename="camel"):
    """A program that the host runs at a moment of the container's life. `timeout` in seconds, 0 for none of its own."""

    hook_name: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int = 0


class ContainerEdits(Struct, frozen=True, rename="camel"):
    """What is added to a container. `env` is KEY=value."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[BindMount, ...] = ()
    hooks: tuple[Hook, ...] = ()
    additional_gids: tuple[int, ...] = ()


class CdiDevice(Struct, frozen=True, rename="camel"):
    """One device by its name within its kind."""

    name: str
    container_edits: ContainerEdits = ContainerEdits()


class CdiSpec(Struct, frozen=True, rename={"version": "cdiVersion", "container_edits": "containerEdits"}):
    """One file. `kind` is vendor/class; `container_edits` belong to each of its devices."""

    version: str
    kind: str
    devices: tuple[CdiDevice, ...] = ()
    container_edits: ContainerEdits = ContainerEdits()
