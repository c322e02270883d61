"""A create request judged: every member of Config and HostConfig is honoured, or refused by name. Messages are Docker's.

Pure. Limits are judged in `verify_resources`, mounts in `mounts`, log options in `log_options`.
"""

import ipaddress

from sampan.daemon import cgroup_conf, environment, userns_mode
from sampan.daemon.config_values import parse_size
from sampan.daemon.mount_words import clean, tmpfs_words
from sampan.daemon.signals import parse_signal
from sampan.errors import InvalidParameter, NotImplementedHere, System
from sampan.runtime import profile_capabilities, profile_devices, profile_options
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig, RestartPolicy
from sampan.spec.sizes import ram_bytes

_LONGEST_HOSTNAME = 64
"""The kernel's, uname(2)."""
CONTAINER_PREFIX = "container:"
_LEAST_INTERVAL = 1_000_000
"""Nanoseconds: Docker's least duration in a health check."""
_UNDEFINED = "networking can't be used with links. This would result in undefined behavior"
NO_LINKS_ON_HOST = f"conflicting options: host type {_UNDEFINED}"


def check_config(config: ContainerConfig) -> None:
    """What is said of the program. Raises InvalidParameter, NotImplementedHere."""
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    if config.stop_signal:
        parse_signal(config.stop_signal)
    environment.check(config.env or ())
    for text in (config.hostname, config.domainname, config.working_dir, config.user):
        if "\0" in text:
            raise InvalidParameter("a NUL byte in a name")
    if len(config.hostname.encode(errors="surrogateescape")) > _LONGEST_HOSTNAME:
        raise InvalidParameter(f"invalid hostname: {config.hostname}: longer than {_LONGEST_HOSTNAME} bytes")


def check_host(host: HostConfig, config: ContainerConfig, available: tuple[str, ...]) -> list[str]:
    """What is said of the container; returns warnings. `available` are the capabilities that the host can give."""
    _refuse_missing(host)
    _check_modes(host, config)
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    check_restart_policy(host.restart_policy)
    for entry in host.extra_hosts or ():
        _check_extra_host(entry)
    profile_capabilities.validate(host.cap_add or (), host.cap_drop or (), available)
    profile_options.parse(host.security_opt or ())
    for limit in host.ulimits or ():
        profile_options.rlimit(limit.name, limit.soft, limit.hard)
    for rule in host.device_cgroup_rules or ():
        profile_devices.parse_rule(rule)
    for destination, words in (host.tmpfs or {}).items():
        _check_tmpfs(destination, words)
    if "" in (host.annotations or {}):
        raise InvalidParameter("invalid Annotations: the empty string is not permitted as an annotation key")
    cgroup_conf.asked(host.annotations)
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    warnings = []
    if host.network_mode == "host" and host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return warnings


def _refuse_missing(host: HostConfig) -> None:
    absent = {
        "Cgroup": host.cgroup,
        "Isolation": host.isolation not in ("", "default"),
        "ContainerIDFile": "\0" in host.container_id_file,
    }
    if host.isolation not in ("", "default"):
        raise InvalidParameter(f"invalid isolation ({host.isolation}): linux only supports 'default'")
    for name, value in absent.items():
        if value:
            raise NotImplementedHere(f"HostConfig.{name} is not implemented yet")
    userns_mode.asked(host)
    parent = host.cgroup_parent
    if parent and (".." in parent.split("/") or "\0" in parent):
        raise InvalidParameter(f"invalid cgroup parent: {parent}")


def layer_size(host: HostConfig, driver: str, *, bounded: bool) -> int:
    """Bytes that the writable layer may hold, by `--storage-opt size=`; 0 for no bound. `bounded`: `driver` can have that here.

    Raises System in Docker's words.
    """
    given = {key.lower(): value for key, value in (host.storage_opt or {}).items()}
    if "size" in given and driver == "btrfs":
        # A quota group counts what is referred to from one subvolume: a program makes another, which is none of it.
        raise System(
            "--storage-opt is not supported by the storage driver btrfs: "
            "a program can make subvolumes of its own, which no quota group bounds (overlay2 on ext4 or xfs can)"
        )
    if "size" in given and not bounded:
        raise System("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
    for key in given:
        if key != "size":
            raise System(f"Unknown option {key}")
    try:
        return ram_bytes(given["size"]) if given else 0
    except ValueError as error:
        raise System(str(error)) from error


def joins(mode: str) -> str:
    """The container that a mode such as `container:web` names; empty for other modes."""
    return mode.removeprefix(CONTAINER_PREFIX) if mode.startswith(CONTAINER_PREFIX) else ""


def _check_modes(host: HostConfig, config: ContainerConfig) -> None:
    if host.ipc_mode not in ("", "none", "private", "host", "shareable") and not joins(host.ipc_mode):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if host.pid_mode not in ("", "host") and not joins(host.pid_mode):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.cgroupns_mode not in ("", "private", "host"):
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if host.network_mode == "host" and host.links:
        raise InvalidParameter(NO_LINKS_ON_HOST)
    if host.network_mode == "container" or host.network_mode.startswith(CONTAINER_PREFIX):
        _check_joined_network(host, config)


def _check_joined_network(host: HostConfig, config: ContainerConfig) -> None:
    if not joins(host.network_mode):
        raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
    if host.links:
        raise InvalidParameter(f"conflicting options: container type {_UNDEFINED.replace('networking', 'network')}")
    conflicts = (
        (config.hostname, "hostname and the network mode"),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (config.exposed_ports, "port exposing and the container type network mode"),
    )
    for given, text in conflicts:
        if given:
            raise InvalidParameter(f"conflicting options: {text}")


def check_restart_policy(policy: RestartPolicy) -> None:
    """Raises InvalidParameter."""
    match policy.name:
        case "always" | "unless-stopped" | "no":
            if policy.maximum_retry_count:
                text = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                raise InvalidParameter(text + (" and cannot be negative" if policy.maximum_retry_count < 0 else ""))
        case "on-failure":
            if policy.maximum_retry_count < 0:
                raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
        case "":
            return
        case _:
            raise InvalidParameter(
                f"invalid restart policy: unknown policy '{policy.name}'; "
                "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )


def _check_extra_host(entry: str) -> None:
    name, colon, address = entry.partition(":")
    if not colon or not name or "\n" in name:
        raise InvalidParameter(f'bad format for add-host: "{entry}"')
    if address == "host-gateway":
        return
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError as error:
        raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from error


def _check_tmpfs(destination: str, words: str) -> None:
    if clean(destination) == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'")
    if not destination.startswith("/"):
        raise InvalidParameter(f"invalid mount path: '{destination}' mount path must be absolute")
    for word in tmpfs_words(words):
        key, equals, value = word.partition("=")
        if equals and key == "size" and not value.endswith("%"):
            parse_size(value)


def check_healthcheck_times(config: ContainerConfig) -> None:
    """Durations of a health check. Raises InvalidParameter."""
    check = config.healthcheck
    if check is None:
        return
    for name, value in (
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ):
        if value and value < _LEAST_INTERVAL:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
