"""The body of POST /containers/create, from the parsed options of `run` or `create`.

Only what was asked for is sent (the daemon's zero values mean "not asked"), with the exceptions Docker's own command makes:
they show in `inspect`. What takes more code than a line is imported when its option is used: this is `sampan run`'s fast path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampan.cli.options import Parsed
    from sampan.client.documents import Document, Json

_NETWORK_OPTIONS = ("network-alias", "ip", "ip6", "mac-address", "link-local-ip", "link")
_NO_ENDPOINT: Document = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "GwPriority": 0,
}  # fmt: skip
_CGROUP_CONF = "sampan.cgroup-conf."
"""What an annotation's key begins with that the daemon takes for a control file."""
_TEXTS = (  # option, field of HostConfig
    ("cgroup-parent", "CgroupParent"), ("cgroupns", "CgroupnsMode"), ("cidfile", "ContainerIDFile"), ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"), ("ipc", "IpcMode"), ("isolation", "Isolation"), ("pid", "PidMode"), ("runtime", "Runtime"),
    ("uts", "UTSMode"), ("volume-driver", "VolumeDriver"),
)  # fmt: skip
_NUMBERS = (
    ("blkio-weight", "BlkioWeight"), ("cpu-count", "CpuCount"), ("cpu-percent", "CpuPercent"), ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"), ("cpu-rt-period", "CpuRealtimePeriod"), ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ("cpu-shares", "CpuShares"), ("cpus", "NanoCpus"), ("io-maxbandwidth", "IOMaximumBandwidth"), ("io-maxiops", "IOMaximumIOps"),
    ("kernel-memory", "KernelMemory"), ("memory", "Memory"), ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"), ("oom-score-adj", "OomScoreAdj"), ("shm-size", "ShmSize"),
)  # fmt: skip
_FLAGS = (
    ("privileged", "Privileged"), ("publish-all", "PublishAllPorts"), ("read-only", "ReadonlyRootfs"), ("rm", "AutoRemove"),
)  # fmt: skip
_LISTS = (
    ("add-host", "ExtraHosts"), ("device-cgroup-rule", "DeviceCgroupRules"),
    ("group-add", "GroupAdd"), ("link", "Links"), ("volumes-from", "VolumesFrom"),
)  # fmt: skip
_DOCUMENTS = (
    ("blkio-weight-device", "BlkioWeightDevice"), ("device-read-bps", "BlkioDeviceReadBps"),
    ("device-read-iops", "BlkioDeviceReadIOps"), ("device-write-bps", "BlkioDeviceWriteBps"),
    ("device-write-iops", "BlkioDeviceWriteIOps"), ("mount", "Mounts"),
)  # fmt: skip
_HEALTH = (
    ("health-interval", "Interval"), ("health-timeout", "Timeout"), ("health-start-period", "StartPeriod"),
    ("health-start-interval", "StartInterval"), ("health-retries", "Retries"),
)  # fmt: skip


def create_body(parsed: Parsed, environ: Mapping[str, str], proxies: list[str]) -> Document:
    """The whole body. ValueError, in Docker's words, for options that are wrong or exclude each other."""
    swappiness = parsed.number("memory-swappiness")
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    body = _config(parsed, environ, proxies)
    host = _host_config(parsed, swappiness)
    _ports(parsed, body, host)
    _volumes(parsed, body, host)
    _devices(parsed, host)
    body["HostConfig"] = host
    body["NetworkingConfig"] = {"EndpointsConfig": _endpoints(parsed)}
    return body


def _endpoints(parsed: Parsed) -> Document:
    chosen = parsed.documents("network")
    if not any(parsed.given(name) for name in _NETWORK_OPTIONS):
        if not chosen:
            return {"default": dict(_NO_ENDPOINT)}
        if len(chosen) == 1 and chosen[0].keys() == {"Target"} and str(chosen[0]["Target"]).strip():
            return {}  # HostConfig.NetworkMode says it all
    from sampan.cli.create.networking import endpoints

    return endpoints(parsed)


def _config(parsed: Parsed, environ: Mapping[str, str], proxies: list[str]) -> Document:
    streams = parsed.many("attach")
    stdin = parsed.flag("interactive")
    attach_stdin = stdin or "stdin" in streams
    body: Document = {
        "Hostname": parsed.text("hostname"),
        "Domainname": parsed.text("domainname"),
        "User": parsed.text("user"),
        "AttachStdin": attach_stdin,
        "AttachStdout": not streams or "stdout" in streams,
        "AttachStderr": not streams or "stderr" in streams,
        "Tty": parsed.flag("tty"),
        "OpenStdin": stdin,
        "StdinOnce": stdin and attach_stdin,
        "Env": _variables(parsed, environ, proxies),
        "Cmd": [*parsed.words[1:]] or None,
        "Image": parsed.words[0],
        "WorkingDir": parsed.text("workdir"),
        "Entrypoint": [parsed.text("entrypoint")] if parsed.given("entrypoint") else None,
        "Labels": _labels(parsed),
    }
    if parsed.text("stop-signal"):
        body["StopSignal"] = parsed.text("stop-signal")
    if parsed.given("stop-timeout"):
        body["StopTimeout"] = parsed.number("stop-timeout")
    health = _health(parsed)
    if health:
        body["Healthcheck"] = health
    return body


def _variables(parsed: Parsed, environ: Mapping[str, str], proxies: list[str]) -> list[Json]:
    given, files = parsed.many("env"), parsed.many("env-file")
    if not given and not files:
        return [*proxies]
    from sampan.cli.create.environment import variables

    return [*proxies, *variables(files, given, environ)]


def _labels(parsed: Parsed) -> Document:
    given, files = parsed.many("label"), parsed.many("label-file")
    if not given and not files:
        return {}
    from sampan.cli.create.environment import labels

    return labels(files, given)


def _health(parsed: Parsed) -> Document | None:
    numbers: Document = {field: parsed.number(option) for option, field in _HEALTH if parsed.number(option)}
    command = parsed.text("health-cmd")
    if parsed.flag("no-healthcheck"):
        if command or numbers:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not command and not numbers:
        return None
    for option, _ in _HEALTH:
        if parsed.number(option) < 0:
            raise ValueError(f"--{option} cannot be negative")
    return {"Test": ["CMD-SHELL", command] if command else None, **numbers}


def _host_config(parsed: Parsed, swappiness: int) -> Document:
    host: Document = {
        "NetworkMode": _network_mode(parsed),
        "RestartPolicy": _restart_policy(parsed),
        "Dns": [*parsed.many("dns")],
        "DnsOptions": [*parsed.many("dns-option")],
        "DnsSearch": [*parsed.many("dns-search")],
        "MemorySwappiness": swappiness,
        "OomKillDisable": parsed.flag("oom-kill-disable"),
        "PidsLimit": parsed.number("pids-limit"),
        "LogConfig": _log_config(parsed),
    }
    host.update({field: parsed.text(option) for option, field in _TEXTS if parsed.text(option)})
    host.update({field: parsed.number(option) for option, field in _NUMBERS if parsed.number(option)})
    host.update({field: True for option, field in _FLAGS if parsed.flag(option)})
    host.update({field: [*parsed.many(option)] for option, field in _LISTS if parsed.many(option)})
    host.update({field: [*parsed.documents(option)] for option, field in _DOCUMENTS if parsed.documents(option)})
    for option, field in (("cap-add", "CapAdd"), ("cap-drop", "CapDrop")):
        if parsed.many(option):
            host[field] = [*sorted({_capability(name) for name in parsed.many(option)})]
    _check_modes(parsed)
    if parsed.text("userns") or parsed.many("uidmap") or parsed.many("gidmap"):
        from sampan.cli.create.users import userns_mode

        host["UsernsMode"] = userns_mode(parsed.text("userns"), parsed.many("uidmap"), parsed.many("gidmap"))
    if parsed.given("init"):
        host["Init"] = parsed.flag("init")
    if parsed.documents("ulimit"):
        # by name, the last one of a name wins: as Docker sends them
        limits = {str(limit["Name"]): limit for limit in parsed.documents("ulimit")}
        host["Ulimits"] = [limits[name] for name in sorted(limits)]
    for option, field in (("sysctl", "Sysctls"), ("annotation", "Annotations")):
        if parsed.many(option):
            host[field] = _pairs(parsed.many(option))
    if parsed.many("cgroup-conf"):
        # The API has no member for it, and an annotation reaches daemons by any client.
        settings = [f"{_CGROUP_CONF}{pair}" for pair in parsed.many("cgroup-conf")]
        host["Annotations"] = _pairs([*parsed.many("annotation"), *settings])
    if parsed.many("security-opt"):
        from sampan.cli.create.security import security_options

        host.update(security_options(parsed.many("security-opt")))
    if parsed.many("storage-opt"):
        if any("=" not in pair for pair in parsed.many("storage-opt")):
            raise ValueError("invalid storage option")
        host["StorageOpt"] = _pairs(parsed.many("storage-opt"))
    return host


def _capability(name: str) -> str:
    """The kernel's name, from any of net_admin, NET_ADMIN and CAP_NET_ADMIN; ALL stays."""
    upper = name.strip().upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _pairs(texts: list[str]) -> Document:
    from sampan.cli.create.environment import pairs_to_document

    return pairs_to_document(texts)


def _network_mode(parsed: Parsed) -> str:
    chosen = parsed.documents("network")
    return str(chosen[0]["Target"]) if chosen else "default"


def _check_modes(parsed: Parsed) -> None:
    pid = parsed.text("pid")
    if pid not in ("", "host") and not (pid.startswith("container:") and len(pid) > 10):
        raise ValueError("--pid: invalid PID mode")
    if parsed.text("uts") not in ("", "host"):
        raise ValueError("--uts: invalid UTS mode")
    if parsed.text("cgroupns") not in ("", "host", "private"):
        raise ValueError("--cgroupns: invalid CGROUP mode")


def restart_policy(text: str) -> Document:
    """`on-failure:3` as the API's RestartPolicy. ValueError, in Docker's words."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    try:
        retries = int(count) if count else 0
    except ValueError:
        raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None
    return {"Name": name, "MaximumRetryCount": retries}


def _restart_policy(parsed: Parsed) -> Document:
    policy = restart_policy(parsed.text("restart"))
    if parsed.flag("rm") and policy["Name"] not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    return policy


def _log_config(parsed: Parsed) -> Document:
    driver, given = parsed.text("log-driver"), parsed.many("log-opt")
    if driver == "none" and given:
        raise ValueError(f"invalid logging opts for driver {driver}")
    return {"Type": driver, "Config": _pairs(given) if given else {}}


def _ports(parsed: Parsed, body: Document, host: Document) -> None:
    declared: list[str] = []
    if parsed.many("publish"):
        from sampan.cli.create.ports import published

        declared, host["PortBindings"] = published(parsed.many("publish"))
    if parsed.many("expose"):
        from sampan.cli.create.ports import exposed

        declared += exposed(parsed.many("expose"))
    if declared:
        body["ExposedPorts"] = {port: {} for port in declared}


def _volumes(parsed: Parsed, body: Document, host: Document) -> None:
    if parsed.many("volume"):
        from sampan.cli.create.mounts import volumes

        binds, anonymous = volumes(parsed.many("volume"))
        if binds:
            host["Binds"] = [*binds]
        if anonymous:
            body["Volumes"] = {target: {} for target in anonymous}
    if parsed.many("tmpfs"):
        from sampan.cli.create.mounts import tmpfs

        host["Tmpfs"] = tmpfs(parsed.many("tmpfs"))


def _devices(parsed: Parsed, host: Document) -> None:
    requests: list[Json] = [*parsed.documents("gpus")]
    if parsed.many("device"):
        from sampan.cli.create.devices import device_mappings

        mappings, names = device_mappings(parsed.many("device"))
        if mappings:
            host["Devices"] = mappings
        if names:
            requests.append({"Driver": "cdi", "DeviceIDs": [*names]})
    if requests:
        host["DeviceRequests"] = requests
