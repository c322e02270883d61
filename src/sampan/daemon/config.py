"""The daemon's settings: flags and daemon.json merged, checked and typed. Read at start, and again for `reload`."""

import ipaddress
from pathlib import Path

import msgspec

from sampan.daemon import config_builder, config_file, registry_settings, runtimes
from sampan.daemon.config_networks import check_networks, cidr, gateway, nested
from sampan.daemon.config_values import (
    Ulimit,
    address,
    decimal,
    listing,
    mapping,
    pools,
    size,
    switch,
    ulimits,
    user_pool,
)
from sampan.daemon.flags import CommandLine
from sampan.errors import InvalidParameter, SampanError
from sampan.images.policy import Policy, read_policy
from sampan.logs import options
from sampan.plugins.places import Places, is_plain
from sampan.registry.settings import Proxies, Settings
from sampan.runtime.request import OtherRuntime

DEFAULT_CONFIG = Path("/etc/sampan/daemon.json")
_CDI_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
_TLS_HOME = "/etc/sampan"


class AddressPool(msgspec.Struct, frozen=True):
    """A pool that networks are cut from: `base` in CIDR form, each network with a prefix of `size` bits."""

    base: str
    size: int


class Tls(msgspec.Struct, frozen=True):
    """Certificate files of the API's TCP listeners; `verify` asks clients for a certificate signed by `ca`."""

    ca: Path
    cert: Path
    key: Path
    verify: bool


class DaemonConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What `sampand` was told. Paths are absolute, sizes in bytes, times in seconds."""

    hosts: tuple[str, ...]
    data_root: Path
    exec_root: Path
    pidfile: Path
    group: str
    group_given: bool = False
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    tls: Tls | None = None
    min_api_version: str = "1.24"
    live_restore: bool = True
    shutdown_timeout: int = 15
    stop_timeout: int = 10
    shm_size: int = 64 * 1024 * 1024
    ulimits: tuple[Ulimit, ...] = ()
    ipc_mode: str = "private"
    cgroupns_mode: str = ""
    rootless: bool = False
    no_new_privileges: bool = False
    seccomp_profile: str = "builtin"
    init: bool = False
    log_driver: str = "json-file"
    log_opts: dict[str, str] = {}
    labels: tuple[str, ...] = ()
    cgroup_parent: str = ""
    cgroup_driver: str = ""
    """cgroupfs or systemd; "" is what `control_groups.managed_by_systemd` finds best"""
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cdi_spec_dirs: tuple[str, ...] = _CDI_DIRECTORIES
    authorization_plugins: tuple[str, ...] = ()
    plugin_dirs: tuple[Path, ...] = ()
    """empty: one of this instance's own, and Docker's"""
    storage_driver: str = ""
    bridge: bool = True
    bip: str = ""
    address_pools: tuple[AddressPool, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()
    mtu: int = 1500
    icc: bool = True
    fixed_cidr: str = ""
    default_gateway: str = ""
    ipv6: bool = False
    bip6: str = ""
    fixed_cidr6: str = ""
    default_gateway6: str = ""
    ip6tables: bool = True
    userland_proxy: bool = True
    allow_direct_routing: bool = False
    bridge_accept_fwmark: str = ""
    published_ports: str = "judged"
    """judged by the host's own firewall, or open"""
    network_options: dict[str, dict[str, str]] = {}
    ip_masq: bool = True
    ip_forward: bool = True
    publish_ip: str = "0.0.0.0"
    registries: Settings = Settings()
    max_downloads: int = 3
    max_uploads: int = 5
    download_attempts: int = 5
    policy: Policy | None = None
    builder: dict[str, object] = {}
    """as daemon.json has it, found to be right: `config_builder.budget`"""
    experimental: bool = False
    metrics_addr: str = ""
    userns_remap: str = ""
    userns_pool: str = "containers"
    """a user's name, or FIRST:COUNT"""
    runtimes: dict[str, OtherRuntime] = {}
    default_runtime: str = "runc"
    warnings: tuple[str, ...] = ()
    file: dict[str, object] = {}
    """what daemon.json gives, by key: what a reload goes by"""


def load(line: CommandLine) -> DaemonConfig:
    """Merge the command line with its configuration file. Raises InvalidParameter in dockerd's wording where it has one."""
    path = file_of(line)
    values = config_file.read(path, required=line.config_file is not None)
    config_file.refuse_conflicts(path, line, values)
    merged: dict[str, object] = {**values, **line.values}
    warnings = config_file.refuse_unsupported(merged)
    folder = path.absolute().parent
    others = runtimes.configured(merged.get("runtimes"))
    typed = _typed(merged, warnings, folder, insecure_tcp=line.insecure_tcp)
    config = msgspec.structs.replace(
        typed,
        file=values,
        policy=read_policy(folder / "policy.json"),
        runtimes=others,
        default_runtime=runtimes.default(str(merged.get("default-runtime", "")), others),
        experimental=switch(merged, "experimental"),
        rootless=switch(merged, "rootless"),
        authorization_plugins=listing(merged, "authorization-plugins"),
        plugin_dirs=tuple(_absolute(directory) for directory in listing(merged, "plugin-dirs")),
        allow_direct_routing=switch(merged, "allow-direct-routing"),
        bridge_accept_fwmark=str(merged.get("bridge-accept-fwmark", "")),
        published_ports=_one_of(merged, "published-ports", "judged", ("judged", "open")),
        builder=_builder(merged),
        cgroup_driver=_cgroup_driver(listing(merged, "exec-opts")),
        cpu_rt_period=decimal(merged, "cpu-rt-period", 0),
        cpu_rt_runtime=decimal(merged, "cpu-rt-runtime", 0),
        metrics_addr=_metrics_address(str(merged.get("metrics-addr", ""))),
        userns_remap=str(merged.get("userns-remap", "")),
        userns_pool=user_pool(str(merged.get("userns-pool") or "containers")),
    )
    _check_log(config)
    return config


def file_of(line: CommandLine) -> Path:
    """The configuration file that `load` reads."""
    return DEFAULT_CONFIG if line.config_file is None else Path(line.config_file)


def _typed(values: dict[str, object], warnings: list[str], folder: Path, *, insecure_tcp: bool) -> DaemonConfig:
    def text(key: str, default: str = "") -> str:
        return str(values.get(key, default))

    exec_root = _absolute(text("exec-root", "/run/sampan"))
    tls = _tls(values)
    hosts = _hosts(listing(values, "hosts"), exec_root, tls, insecure_tcp=insecure_tcp)
    config = DaemonConfig(
        hosts=hosts,
        data_root=_absolute(text("data-root", "/var/lib/sampan")),
        exec_root=exec_root,
        pidfile=_absolute(text("pidfile") or str(exec_root / "sampand.pid")),
        group=text("group", "sampan"),
        group_given="group" in values,
        debug=switch(values, "debug"),
        log_level=_one_of(values, "log-level", "info", ("debug", "info", "warn", "error", "fatal")),
        log_format=_one_of(values, "log-format", "text", ("text", "json")),
        tls=tls,
        min_api_version=_api_version(text("min-api-version", "1.24")),
        live_restore=switch(values, "live-restore", default=True),
        shutdown_timeout=decimal(values, "shutdown-timeout", 15),
        stop_timeout=decimal(values, "default-stop-timeout", 10),
        shm_size=size(values, "default-shm-size", 64 * 1024 * 1024),
        ulimits=ulimits(values, "default-ulimits"),
        ipc_mode=_one_of(values, "default-ipc-mode", "private", ("private", "shareable")),
        cgroupns_mode=_one_of(values, "default-cgroupns-mode", "", ("", "host", "private")),
        no_new_privileges=switch(values, "no-new-privileges"),
        seccomp_profile=text("seccomp-profile", "builtin") or "builtin",
        init=switch(values, "init"),
        log_driver=text("log-driver") or "json-file",
        log_opts=mapping(values, "log-opts"),
        labels=_labels(listing(values, "labels")),
        cgroup_parent=text("cgroup-parent"),
        cdi_spec_dirs=listing(values, "cdi-spec-dirs") or _CDI_DIRECTORIES,
        storage_driver=_storage_driver(text("storage-driver")),
        bridge=_bridge(text("bridge")),
        bip=text("bip"),
        address_pools=tuple(AddressPool(base, bits) for base, bits in pools(values, "default-address-pools")),
        dns=tuple(address(entry, "dns") for entry in listing(values, "dns")),
        dns_opts=listing(values, "dns-opts"),
        dns_search=listing(values, "dns-search"),
        host_gateway_ips=_host_gateway(values),
        mtu=decimal(values, "mtu", 1500),
        icc=switch(values, "icc", default=True),
        fixed_cidr=cidr(text("fixed-cidr"), 4, "fixed-cidr"),
        default_gateway=gateway(text("default-gateway"), 4, "default-gateway"),
        ipv6=switch(values, "ipv6"),
        bip6=text("bip6"),
        fixed_cidr6=cidr(text("fixed-cidr-v6"), 6, "fixed-cidr-v6"),
        default_gateway6=gateway(text("default-gateway-v6"), 6, "default-gateway-v6"),
        ip6tables=switch(values, "ip6tables", default=True),
        userland_proxy=switch(values, "userland-proxy", default=True),
        network_options=nested(values, "default-network-opts"),
        ip_masq=switch(values, "ip-masq", default=True),
        ip_forward=switch(values, "ip-forward", default=True),
        publish_ip=address(text("ip", "0.0.0.0"), "ip"),
        registries=registry_settings.settings(
            registry_settings.mirrors(listing(values, "registry-mirrors")),
            listing(values, "insecure-registries"),
            Proxies(text("http-proxy"), text("https-proxy"), text("no-proxy")),
            folder,
        ),
        max_downloads=decimal(values, "max-concurrent-downloads", 3) or 3,
        max_uploads=decimal(values, "max-concurrent-uploads", 5) or 5,
        download_attempts=decimal(values, "max-download-attempts", 5) or 5,
        warnings=tuple(warnings),
    )
    check_networks(config.bip, config.bip6, config.network_options, bridge=config.bridge)
    return config


def places(config: DaemonConfig) -> Places:
    """Where plugins are looked for that are no managed ones."""
    return Places.only(config.plugin_dirs) if config.plugin_dirs else Places.of_docker(config.exec_root / "plugins")


def _check_log(config: DaemonConfig) -> None:
    try:
        plugin = config.log_driver not in options.DRIVERS and places(config).find(config.log_driver) is not None
        options.parse(config.log_driver, config.log_opts, plugin=plugin)
    except SampanError as error:
        raise InvalidParameter(f"failed to set log opts: {error}") from error


def _cgroup_driver(options: tuple[str, ...]) -> str:
    """From `native.cgroupdriver=…`, the only one of Docker's exec-opts that means something on Linux."""
    driver = ""
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise InvalidParameter(f"unable to parse key/value option: {option}")
        if key.strip().lower() != "native.cgroupdriver":
            raise InvalidParameter(f"exec-opts: {option} is not supported by Sampan")
        driver = value.strip()
        if driver not in ("", "cgroupfs", "systemd"):
            raise InvalidParameter(f"native.cgroupdriver option {driver} not supported")
    return driver


def _metrics_address(text: str) -> str:
    if text and not text.rpartition(":")[2].isdecimal():
        raise InvalidParameter(f"invalid metrics-addr: {text}: it is HOST:PORT")
    return text


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _one_of(values: dict[str, object], key: str, default: str, allowed: tuple[str, ...]) -> str:
    value = str(values.get(key, default))
    if value not in allowed:
        raise InvalidParameter(f'invalid {key}: "{value}": it is one of {", ".join(word for word in allowed if word)}')
    return value


def _builder(values: dict[str, object]) -> dict[str, object]:
    """Checked now, read again by the first build: a daemon that builds nothing does without its types."""
    value = values.get("builder")
    if not isinstance(value, dict) or not value:
        return {}
    config_builder.budget(value)
    config_builder.granted(value)
    return value


def _storage_driver(text: str) -> str:
    if text in ("zfs", "devicemapper", "aufs"):
        raise InvalidParameter(
            f"storage-driver: {text} is not implemented: overlay2 works on most file systems, "
            "and vfs shares blocks where the file system can"
        )
    if text and not is_plain(text):
        raise InvalidParameter(f'invalid storage-driver: "{text}": no driver has such a name')
    return "overlay" if text == "overlay2" else text


def _bridge(text: str) -> bool:
    if text not in ("", "none"):
        raise InvalidParameter(
            f'"bridge": "{text}" is not supported by Sampan: it makes a bridge of its own, or "none"'
        )
    return text != "none"


def _labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for label in labels:
        key, _, value = label.partition("=")
        if seen.setdefault(key, value) != value:
            raise InvalidParameter(f"conflict labels for {key}={value} and {key}={seen[key]}")
    return labels


def _host_gateway(values: dict[str, object]) -> tuple[str, ...]:
    if "host-gateway-ip" in values:
        if "host-gateway-ips" in values:
            raise InvalidParameter("host-gateway-ip and host-gateway-ips must not both be specified in the config file")
        return (address(str(values["host-gateway-ip"]), "host-gateway-ip"),)
    return tuple(address(entry, "host-gateway-ips") for entry in listing(values, "host-gateway-ips"))


def _api_version(text: str) -> str:
    major, _, minor = text.partition(".")
    if major != "1" or not minor.isdecimal() or not 24 <= int(minor) <= 51:
        raise InvalidParameter(f'invalid min-api-version: "{text}": it is one of 1.24 to 1.51')
    return text


def _tls(values: dict[str, object]) -> Tls | None:
    verify = switch(values, "tlsverify")
    if not verify and not switch(values, "tls"):
        return None

    def file(key: str, name: str) -> Path:
        return _absolute(str(values.get(key) or f"{_TLS_HOME}/{name}"))

    return Tls(file("tlscacert", "ca.pem"), file("tlscert", "cert.pem"), file("tlskey", "key.pem"), verify)


def _hosts(hosts: tuple[str, ...], exec_root: Path, tls: Tls | None, *, insecure_tcp: bool) -> tuple[str, ...]:
    if not hosts:
        return (f"unix://{exec_root}/sampan.sock",)
    parsed = tuple(_host(host, exec_root, tls) for host in hosts)
    for host in parsed:
        if host.startswith("tcp://") and not _is_loopback(host) and not (tls and tls.verify) and not insecure_tcp:
            raise InvalidParameter(
                f"{host}: whoever reaches this port is root on this machine; use --tlsverify, or --insecure-tcp if you must"
            )
    return parsed


def _host(text: str, exec_root: Path, tls: Tls | None) -> str:
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "tcp", scheme
    match scheme:
        case "unix":
            return f"unix://{rest or exec_root / 'sampan.sock'}"
        case "fd":
            return f"fd://{rest}"
        case "tcp":
            name, _, port = rest.partition("]")[2].rpartition(":") if rest.startswith("[") else rest.rpartition(":")
            if not name and not rest.startswith((":", "[")):
                name, port = rest, ""
            if port and not port.isdecimal():
                raise InvalidParameter(f"invalid bind address format: {text}")
            if rest.startswith("["):
                name = rest.partition("]")[0] + "]"
            return f"tcp://{name or 'localhost'}:{port or (2376 if tls else 2375)}"
        case _:
            raise InvalidParameter(f"invalid bind address format: {text}")


def _is_loopback(host: str) -> bool:
    name = host.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
