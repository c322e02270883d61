"""The daemon about itself: version and info."""

import msgspec

from sampan.spec.document import Document, Int64, Names, Pairs, sent, wire


class PlatformName(Document, frozen=True):
    """The product's name."""

    name: str = sent("")


class Component(Document, frozen=True):
    """A part of the engine and its version."""

    name: str = sent("")
    version: str = sent("")
    details: Pairs | None = None


class Version(Document, frozen=True, rename=wire(min_api_version="MinAPIVersion")):
    """Answer of GET /version."""

    platform: PlatformName = sent(PlatformName())
    components: tuple[Component, ...] = sent(())
    version: str = sent("")
    api_version: str = sent("")
    min_api_version: str = sent("")
    git_commit: str = sent("")
    go_version: str = sent("")
    os: str = sent("")
    arch: str = sent("")
    kernel_version: str = ""
    experimental: bool = False
    build_time: str = ""


class PluginsInfo(Document, frozen=True):
    """Names of drivers by kind."""

    volume: Names = sent(())
    network: Names = sent(())
    authorization: Names | None = sent(None)
    log: Names = sent(())


class IndexInfo(Document, frozen=True):
    """One registry."""

    name: str = sent("")
    mirrors: Names = sent(())
    secure: bool = sent(False)
    official: bool = sent(False)


_REGISTRY = {
    "insecure_registry_cidrs": "InsecureRegistryCIDRs",
    "allow_nondistributable_artifacts_cidrs": "AllowNondistributableArtifactsCIDRs",
}


class RegistryServiceConfig(Document, frozen=True, rename=wire(**_REGISTRY)):
    """Registries the daemon knows about."""

    insecure_registry_cidrs: Names = sent(())
    index_configs: dict[str, IndexInfo] = sent({})
    mirrors: Names | None = sent(None)
    allow_nondistributable_artifacts_cidrs: Names | msgspec.UnsetType | None = msgspec.UNSET
    """Sent as null to clients below 1.47, as is the next."""
    allow_nondistributable_artifacts_hostnames: Names | msgspec.UnsetType | None = msgspec.UNSET


class Runtime(Document, frozen=True, rename="camel"):
    """An OCI runtime by path."""

    path: str = ""
    runtime_args: Names | None = None
    status: Pairs | None = None


class Commit(Document, frozen=True, rename=wire(id="ID")):
    """What a tool was built from. `expected` repeats it for clients below 1.49."""

    id: str = sent("")
    expected: str = ""


class PeerNode(Document, frozen=True, rename=wire(node_id="NodeID")):
    """A manager of a swarm."""

    node_id: str = sent("")
    addr: str = sent("")


class SwarmInfo(Document, frozen=True, rename=wire(node_id="NodeID")):
    """The swarm this node is in: `inactive` here."""

    node_id: str = sent("")
    node_addr: str = sent("")
    local_node_state: str = sent("inactive")
    control_available: bool = sent(False)
    error: str = sent("")
    remote_managers: tuple[PeerNode, ...] | None = sent(None)
    nodes: int = 0
    managers: int = 0


class AddressPool(Document, frozen=True):
    """Where networks get their subnets from."""

    base: str = sent("")
    size: int = sent(0)


class FirewallInfo(Document, frozen=True):
    """How packets are filtered, as label and value pairs."""

    driver: str = sent("")
    info: tuple[Names, ...] | None = None


class DeviceInfo(Document, frozen=True, rename=wire(id="ID")):
    """A device that a driver found."""

    source: str = sent("")
    id: str = sent("")


class ContainerdNamespaces(Document, frozen=True):
    """Namespaces within containerd."""

    containers: str = sent("")
    plugins: str = sent("")


class ContainerdInfo(Document, frozen=True):
    """The containerd in use; Sampan uses none."""

    address: str = ""
    namespaces: ContainerdNamespaces = sent(ContainerdNamespaces())


_INFO = {
    "id": "ID",
    "kernel_memory_tcp": "KernelMemoryTCP",
    "cpu_shares": "CPUShares",
    "cpu_set": "CPUSet",
    "ipv4_forwarding": "IPv4Forwarding",
    "nfd": "NFd",
    "n_goroutines": "NGoroutines",
    "n_events_listener": "NEventsListener",
    "os_version": "OSVersion",
    "os_type": "OSType",
    "ncpu": "NCPU",
    "cdi_spec_dirs": "CDISpecDirs",
}


class Info(Document, frozen=True, rename=wire(**_INFO)):
    """Answer of GET /info. What is false says so truthfully: clients print warnings from it."""

    id: str = sent("")
    containers: int = sent(0)
    containers_running: int = sent(0)
    containers_paused: int = sent(0)
    containers_stopped: int = sent(0)
    images: int = sent(0)
    driver: str = sent("")
    driver_status: tuple[Names, ...] = sent(())
    docker_root_dir: str = sent("")
    plugins: PluginsInfo = sent(PluginsInfo())
    memory_limit: bool = sent(False)
    swap_limit: bool = sent(False)
    kernel_memory_tcp: bool = False
    cpu_cfs_period: bool = sent(False)
    cpu_cfs_quota: bool = sent(False)
    cpu_shares: bool = sent(False)
    cpu_set: bool = sent(False)
    pids_limit: bool = sent(False)
    ipv4_forwarding: bool = sent(False)
    debug: bool = sent(False)
    nfd: int = sent(0)
    oom_kill_disable: bool = sent(False)
    n_goroutines: int = sent(0)
    system_time: str = sent("")
    logging_driver: str = sent("")
    cgroup_driver: str = sent("")
    cgroup_version: str = ""
    n_events_listener: int = sent(0)
    kernel_version: str = sent("")
    operating_system: str = sent("")
    os_version: str = sent("")
    os_type: str = sent("linux")
    architecture: str = sent("")
    index_server_address: str = sent("https://index.docker.io/v1/")
    registry_config: RegistryServiceConfig | None = sent(RegistryServiceConfig())
    ncpu: int = sent(0)
    mem_total: Int64 = sent(0)
    generic_resources: Names | None = sent(None)
    http_proxy: str = sent("")
    https_proxy: str = sent("")
    no_proxy: str = sent("")
    name: str = sent("")
    labels: Names = sent(())
    experimental_build: bool = sent(False)
    server_version: str = sent("")
    runtimes: dict[str, Runtime] = sent({})
    default_runtime: str = sent("")
    swarm: SwarmInfo = sent(SwarmInfo())
    live_restore_enabled: bool = sent(False)
    isolation: str = sent("")
    init_binary: str = sent("")
    containerd_commit: Commit = sent(Commit())
    runc_commit: Commit = sent(Commit())
    init_commit: Commit = sent(Commit())
    security_options: Names = sent(())
    product_license: str = ""
    default_address_pools: tuple[AddressPool, ...] | None = None
    firewall_backend: FirewallInfo | None = None
    discovered_devices: tuple[DeviceInfo, ...] | None = None
    cdi_spec_dirs: Names = sent(())
    containerd: ContainerdInfo | None = None
    bridge_nf_iptables: bool | None = None
    """False for clients below 1.50, as is the next."""
    bridge_nf_ip6tables: bool | None = None
    warnings: Names | None = sent(None)
