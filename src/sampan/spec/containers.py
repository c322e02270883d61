"""Containers: create, inspect, list, wait and the answers of the other verbs. HostConfig stands in its own module."""

from sampan.spec.document import Command, Document, Int64, Keys, Names, Pairs, sent, wire
from sampan.spec.health import Health, HealthConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.mounts import MountPoint
from sampan.spec.networks import EndpointSettings, NetworkingConfig
from sampan.spec.oci_descriptor import Descriptor
from sampan.spec.ports import Port, PortMap


class ContainerConfig(Document, frozen=True):
    """What of a container is portable between hosts. Missing commands, user, … come from the image."""

    hostname: str = sent("")
    domainname: str = sent("")
    user: str = sent("")
    attach_stdin: bool = sent(False)
    attach_stdout: bool = sent(False)
    attach_stderr: bool = sent(False)
    exposed_ports: Keys | None = None
    tty: bool = sent(False)
    open_stdin: bool = sent(False)
    stdin_once: bool = sent(False)
    env: Names | None = sent(None)
    cmd: Command = sent(None)
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = sent("")
    volumes: Keys | None = sent(None)
    working_dir: str = sent("")
    entrypoint: Command = sent(None)
    network_disabled: bool = False
    mac_address: str = ""
    on_build: Names | None = sent(None)
    labels: Pairs | None = sent(None)
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: Command = None


class CreateRequest(ContainerConfig, frozen=True):
    """Body of POST /containers/create: the portable part inlined, the host's and the networks' beside it."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class CreateResponse(Document, frozen=True):
    """The new container's id, and what the daemon had to say about the request."""

    id: str
    warnings: Names = sent(())


class IdResponse(Document, frozen=True):
    """Something new, by its id."""

    id: str


class ExitMemory(Document, frozen=True):
    """Memory that ran out: how many processes the kernel killed for it and which; limit and highest use in bytes, 0 unknown."""

    kills: int = sent(0)
    victims: str = sent("")
    limit: int = sent(0)
    peak: int = sent(0)


class ExitRequest(Document, frozen=True):
    """Who wanted the end: `verb` is kill, stop, restart, remove or shutdown; the last signal that it sent, and when."""

    verb: str = sent("")
    signal: str = sent("")
    at: str = sent("")


class ExitRestart(Document, frozen=True):
    """What the restart policy made of it: whether there is a next run, after how many seconds, the how manieth restart it is."""

    policy: str = sent("no")
    again: bool = sent(False)
    delay: float = sent(0.0)
    count: int = sent(0)


class ExitCause(Document, frozen=True):
    """Why a container's last run ended. Sampan's own, beside Docker's members of the state.

    `kind` is exited, signal, oom, monitor-lost, machine-ended or not-started; `text` says it all in one line. `daemon` is heard
    (at once), found (by a later daemon), or which of both deaths took the monitor along.
    """

    kind: str = sent("exited")
    text: str = sent("")
    exit_code: int = sent(0)
    signal: str = sent("")
    memory: ExitMemory | None = None
    request: ExitRequest | None = None
    health: str = sent("")
    restart: ExitRestart | None = None
    daemon: str = sent("heard")


class State(Document, frozen=True, rename=wire(oom_killed="OOMKilled")):
    """Where a container stands. `status` is created, running, paused, restarting, removing, exited or dead."""

    status: str = sent("")
    running: bool = sent(False)
    paused: bool = sent(False)
    restarting: bool = sent(False)
    oom_killed: bool = sent(False)
    dead: bool = sent(False)
    pid: int = sent(0)
    exit_code: int = sent(0)
    error: str = sent("")
    started_at: str = sent("")
    finished_at: str = sent("")
    health: Health | None = None
    exit_cause: ExitCause | None = None


class DriverData(Document, frozen=True):
    """The storage driver's name and what it likes to tell."""

    data: Pairs | None = sent(None)
    name: str = sent("")


class Address(Document, frozen=True):
    """An address with its prefix length."""

    addr: str = sent("")
    prefix_len: int = sent(0)


_SETTINGS = {
    "sandbox_id": "SandboxID",
    "link_local_ipv6_address": "LinkLocalIPv6Address",
    "link_local_ipv6_prefix_len": "LinkLocalIPv6PrefixLen",
    "secondary_ip_addresses": "SecondaryIPAddresses",
    "secondary_ipv6_addresses": "SecondaryIPv6Addresses",
    "endpoint_id": "EndpointID",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway",
}


class NetworkSettings(Document, frozen=True, rename=wire(**_SETTINGS)):
    """A container's networks. What stands outside `networks` repeats the default bridge's end point."""

    bridge: str = sent("")
    sandbox_id: str = sent("")
    sandbox_key: str = sent("")
    ports: PortMap = sent({})
    hairpin_mode: bool = sent(False)
    link_local_ipv6_address: str = sent("")
    link_local_ipv6_prefix_len: int = sent(0)
    secondary_ip_addresses: tuple[Address, ...] | None = sent(None)
    secondary_ipv6_addresses: tuple[Address, ...] | None = sent(None)
    endpoint_id: str = sent("")
    gateway: str = sent("")
    global_ipv6_address: str = sent("")
    global_ipv6_prefix_len: int = sent(0)
    ip_address: str = sent("")
    ip_prefix_len: int = sent(0)
    ipv6_gateway: str = sent("")
    mac_address: str = sent("")
    networks: dict[str, EndpointSettings] = sent({})


class ContainerInspect(Document, frozen=True, rename=wire(exec_ids="ExecIDs")):
    """Answer of GET /containers/{id}/json. `name` carries its slash; times are RFC 3339 with nanoseconds."""

    id: str
    created: str = sent("")
    path: str = sent("")
    args: Names = sent(())
    state: State = sent(State())
    image: str = sent("")
    resolv_conf_path: str = sent("")
    hostname_path: str = sent("")
    hosts_path: str = sent("")
    log_path: str = sent("")
    name: str = sent("")
    restart_count: int = sent(0)
    driver: str = sent("")
    platform: str = sent("")
    mount_label: str = sent("")
    process_label: str = sent("")
    app_armor_profile: str = sent("")
    exec_ids: Names | None = sent(None)
    host_config: HostConfig = sent(HostConfig())
    graph_driver: DriverData | None = sent(DriverData())
    size_rw: Int64 | None = None
    size_root_fs: Int64 | None = None
    mounts: tuple[MountPoint, ...] = sent(())
    config: ContainerConfig = sent(ContainerConfig())
    network_settings: NetworkSettings = sent(NetworkSettings())
    image_manifest_descriptor: Descriptor | None = None


class SummaryHostConfig(Document, frozen=True):
    """What a list shows of the HostConfig."""

    network_mode: str = ""
    annotations: Pairs | None = None


class SummaryNetworkSettings(Document, frozen=True):
    """What a list shows of the networks."""

    networks: dict[str, EndpointSettings] = sent({})


class ContainerSummary(Document, frozen=True, rename=wire(image_id="ImageID")):
    """One line of GET /containers/json. `created` in seconds since the epoch; `names` carry their slash."""

    id: str
    names: Names = sent(())
    image: str = sent("")
    image_id: str = sent("")
    image_manifest_descriptor: Descriptor | None = None
    command: str = sent("")
    created: Int64 = sent(0)
    ports: tuple[Port, ...] = sent(())
    size_rw: Int64 = 0
    size_root_fs: Int64 = 0
    labels: Pairs = sent({})
    state: str = sent("")
    status: str = sent("")
    host_config: SummaryHostConfig = sent(SummaryHostConfig())
    network_settings: SummaryNetworkSettings | None = sent(SummaryNetworkSettings())
    mounts: tuple[MountPoint, ...] = sent(())


class WaitExitError(Document, frozen=True):
    """Why a container could not be waited for to its end."""

    message: str = ""


class WaitResponse(Document, frozen=True):
    """How a container ended."""

    status_code: int
    error: WaitExitError | None = None


class UpdateResponse(Document, frozen=True):
    """What the daemon had to say about new limits."""

    warnings: Names | None = sent(None)


class TopResponse(Document, frozen=True):
    """Processes as rows of columns."""

    titles: Names = sent(())
    processes: tuple[Names, ...] = sent(())


class ContainersPruneReport(Document, frozen=True):
    """What a prune removed, and the bytes that freed."""

    containers_deleted: Names | None = sent(None)
    space_reclaimed: int = sent(0)
