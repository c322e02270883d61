"""The archive that `system debug` makes, and what goes into it with a daemon or without: host, settings, log, what stands there.

Redaction is by what is named here, not by what is left out: of settings and records only members that cannot hold a secret are
taken, of the rest their number or their names. What is free text (the log) has passwords in URLs masked.
"""

import gzip
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sampan.cgroups import apply as cgroups
from sampan.cgroups.hierarchy import detect
from sampan.cgroups.leftovers import leftovers
from sampan.daemon.config import DaemonConfig
from sampan.errors import SampanError
from sampan.files.tar_writer import END, member
from sampan.host import check, facts
from sampan.registry.proxying import masked as masked_proxy
from sampan.telemetry import lines
from sampan.version import VERSION

_LOG_BYTES = 512 * 1024
_MOST_LINES = 2000
_SECRET_OPTION = re.compile(
    r"((?:\w*pass\w*|\w*cred\w*|\w*secret\w*|\w*token\w*|\w*key\w*|user|username))=[^,\s]*", re.IGNORECASE
)
_PLAIN = frozenset(
    (  # noqa: SIM905
     "hosts data_root exec_root pidfile group debug log_level log_format min_api_version live_restore "
     "shutdown_timeout stop_timeout shm_size ulimits ipc_mode cgroupns_mode rootless no_new_privileges "
     "seccomp_profile init log_driver cgroup_parent cgroup_driver cdi_spec_dirs storage_driver bridge bip "
     "address_pools dns dns_opts dns_search host_gateway_ips mtu icc fixed_cidr default_gateway ipv6 bip6 "
     "fixed_cidr6 default_gateway6 ip6tables userland_proxy allow_direct_routing bridge_accept_fwmark published_ports ip_masq "
     "ip_forward "
     "publish_ip max_downloads max_uploads download_attempts experimental metrics_addr userns_remap userns_pool"
    ).split()
)  # fmt: skip
"""Settings whose values are shown."""
_NAMED = ("log_opts", "builder", "network_options", "file")
"""Settings of which only the names that stand in them are."""


class Report:
    """Members of the archive as they come; what one could not tell is told in `about.json`."""

    def __init__(self, daemon: str) -> None:
        self._daemon = daemon
        self._members: list[tuple[str, bytes]] = []
        self._problems: list[str] = []

    def add(self, name: str, make: Callable[[], object]) -> None:
        """Take in what `make` gives: text as it is, all else as JSON. A failure leaves out this one."""
        try:
            self.put(name, make())
        except (OSError, SampanError, ValueError) as error:
            self.lack(name, error)

    def put(self, name: str, found: object) -> None:
        """Take in what was found."""
        text = (
            found.encode() if isinstance(found, str) else msgspec.json.format(msgspec.json.encode(found, enc_hook=str))
        )
        self._members.append((name, text))

    def lack(self, name: str, why: object) -> None:
        """Note why there is no such member, or not all of it."""
        self._problems.append(lines.masked(f"{name}: {type(why).__name__ if isinstance(why, Exception) else ''} {why}"))

    def archive(self) -> bytes:
        """The whole, as a compressed tar; a directory of its own in it."""
        about = {"made": _now(), "sampan": VERSION, "daemon": self._daemon, "lacking": self._problems}
        self.put("about.json", about)
        place = f"sampan-debug-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        packed = bytearray()
        for name, content in sorted(self._members):
            for piece in member(f"{place}/{name}".encode(), content, time.time_ns(), 0o600):
                packed += piece
        return gzip.compress(bytes(packed + END), 6)


def of_host(report: Report, settings: DaemonConfig, instance: str) -> None:
    """What needs no daemon. Blocks for a second or two."""
    report.add("host/facts.json", facts.read)
    report.add("host/kernel.txt", lambda: _text("/proc/version") + _text("/proc/loadavg") + _text("/proc/uptime"))
    report.add("host/memory.txt", lambda: _text("/proc/meminfo"))
    report.add("host/check.json", lambda: check.probe_all(str(settings.data_root)))
    report.add("host/mounts.txt", lambda: "\n".join(_mounts(settings)) + "\n")
    report.add("host/groups.json", lambda: _groups(instance))
    report.add("host/processes.json", lambda: list(_processes()))
    report.add("config.json", lambda: shown_settings(settings))


def shown_settings(settings: DaemonConfig) -> dict[str, object]:
    """The settings without anything that could be secret."""
    known = settings.registries
    proxies = {name: masked_proxy(getattr(known.proxies, name)) for name in ("http", "https")}
    return {
        **{name: _masked(getattr(settings, name)) for name in sorted(_PLAIN)},
        **{f"{name} (names)": sorted(getattr(settings, name)) for name in _NAMED},
        "labels (number)": len(settings.labels),
        "tls": settings.tls is not None,
        "policy": settings.policy is not None,
        "proxies": {**proxies, "no_proxy": known.proxies.no_proxy},
        "mirrors": _masked(known.mirrors),
        "insecure registries": sorted([*known.insecure_names, *map(str, known.insecure_networks)]),
        "warnings": _masked(settings.warnings),
    }


def _masked(value: object) -> object:
    if isinstance(value, str):
        return lines.masked(value)
    if isinstance(value, tuple):
        return [_masked(item) for item in value]
    return value


def log_of(path: str) -> str:
    """The end of a log file, whole lines."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - _LOG_BYTES))
        text = file.read(_LOG_BYTES).decode(errors="replace")
    whole = text if size <= _LOG_BYTES else text.partition("\n")[2]
    return "".join(f"{lines.masked(line)}\n" for line in whole.splitlines()[-_MOST_LINES:])


def _mounts(settings: DaemonConfig) -> Iterator[str]:
    """Those that are the engine's own: below its roots, or named after it."""
    ours = (f"{settings.data_root}", f"{settings.exec_root}", "sampan")
    for line in _text("/proc/self/mountinfo").splitlines():
        if any(mark in line for mark in ours):
            yield _SECRET_OPTION.sub(r"\1=[redacted]", lines.masked(line))


def _groups(instance: str) -> dict[str, object]:
    hierarchy = detect()
    found = leftovers(hierarchy, instance)
    return {
        "mode": hierarchy.mode,
        "containers": {
            container: {"groups": groups, "processes": len(cgroups.procs(groups))}
            for container, groups in found.items()
        },
    }


def _processes() -> Iterator[dict[str, object]]:
    """Launchers, monitors and the like of every instance here: what they show as their title, and what they hold."""
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            title = Path(f"/proc/{name}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace").strip()
            if not title.startswith("sampan-"):
                continue
            status = dict(line.split(":\t", 1) for line in _text(f"/proc/{name}/status").splitlines() if ":\t" in line)
            held = len(os.listdir(f"/proc/{name}/fd"))
        except OSError:
            continue  # it has ended since, or is another user's
        what = {member: status.get(member, "").strip() for member in ("PPid", "State", "VmRSS", "Threads")}
        yield {"pid": int(name), "title": title[:80], "descriptors": held, **what}


def _text(path: str) -> str:
    return Path(path).read_text(errors="replace")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
