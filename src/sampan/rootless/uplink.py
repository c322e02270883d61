"""The way out of the daemon's network namespace: pasta or slirp4netns, which carry packets between it and sockets of the user's.

Neither leads to the machine's loopback (`--no-map-gw`, `--disable-host-loopback`): what listens there trusts whoever calls it.
Ports are not theirs to forward either: the keeper opens sockets outside, so that each is bound where it was asked for and callers
keep their address. The addresses are the same with both, and not the machine's own, which is so reached by its address.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import subprocess
import time

from sampan.errors import Unavailable
from sampan.rootless.mapping import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROGRAMS = {"pasta": "passt", "slirp4netns": "slirp4netns"}
"""Name → the Debian package that has it; the first that is there is taken, as a rule (`choose`)."""
NONE = "none"
TUN = "/dev/net/tun"
_SUBNETS = ("10.0.2.0/24", "10.41.2.0/24", "192.168.242.0/24", "172.30.242.0/24")
_OWN6, _GATEWAY6 = "fd53:616d:7061:6e::100", "fd53:616d:7061:6e::2"
"""A unique local network of no meaning elsewhere (RFC 4193)."""
_FAMILIES = {True: ("--address", _OWN6, "--gateway", _GATEWAY6), False: ("--ipv4-only",)}
"""Of pasta: slirp4netns' IPv6 is an experiment."""
_MTU = 65520
_SECONDS = 8.0
_WHOLE_SINCE = 2024
_PAUSE = 0.01
_ROUTES = "/proc/net/route"


class Addresses:
    """Of one subnet: the namespace's own, the gateway's, and the one at which questions of names are answered.

    `ipv6`: whether there are such of IPv6, too.
    """

    __slots__ = ("dns", "gateway", "ipv6", "own", "subnet")

    def __init__(self, subnet: str, ipv6: bool = False) -> None:
        self.ipv6 = ipv6
        network = ipaddress.ip_network(subnet)
        self.subnet = subnet
        self.gateway, self.dns, self.own = (str(network.network_address + number) for number in (2, 3, 100))


def addresses(routes: str, routes6: str = "") -> Addresses:
    """The first subnet that overlaps no route of the machine. `routes` is the text of /proc/net/route, `routes6` of ipv6_route."""
    taken = list(_networks(routes))
    free = (text for text in _SUBNETS if not any(ipaddress.ip_network(text).overlaps(one) for one in taken))
    return Addresses(next(free, _SUBNETS[0]), any(_is_way_out(line.split()) for line in routes6.splitlines()))


def _is_way_out(fields: list[str]) -> bool:
    """Whether a line of ipv6_route is a default route; the kernel has one of its own that refuses everything, by `lo`."""
    return len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo"


def _networks(routes: str) -> Iterable[ipaddress.IPv4Network]:
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and int(fields[7], 16):
            where, mask = (int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7))
            yield ipaddress.IPv4Network((where & mask, mask.bit_count()))


def is_whole(version: str) -> bool:
    """Whether this pasta, by what `--version` says, is not of those that lose the end of a connection under load.

    Debian 12's, of March 2023, does: an end that comes with the last bytes is never told. It says "unknown version", later ones
    their date.
    """
    dated = re.search(r"(20[0-9]{2})[-_.]?[0-9]{2}[-_.]?[0-9]{2}", version)
    return dated is not None and int(dated[1]) >= _WHOLE_SINCE


def version_of(path: str) -> str:
    """What `pasta --version` says; empty where it says nothing."""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env=ENVIRONMENT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").partition("\n")[0]


def choose(wanted: str, find: Callable[[str], str | None], version: Callable[[str], str] = version_of) -> str:
    """The program to use: the one that is wanted, else pasta, unless it is an old one and slirp4netns is there; else NONE.

    Raises Unavailable.
    """
    if wanted == NONE or (wanted and find(wanted)):
        return wanted
    if wanted:
        raise Unavailable(f"{wanted} is not installed: apt install {PROGRAMS.get(wanted, wanted)}")
    found = [name for name in PROGRAMS if find(name)]
    if len(found) > 1 and not is_whole(version(str(find("pasta")))):
        found.reverse()
    return found[0] if found else NONE


def command(program: str, userns: str, netns: str, own: Addresses) -> list[str]:
    """The command line. `userns` and `netns` are paths of namespaces as /proc shows them."""
    if program == "pasta":
        subnet = ipaddress.ip_network(own.subnet)
        return [
            "pasta", "--foreground", "--quiet", "--config-net", "--no-map-gw", *_FAMILIES[own.ipv6],
            "--address", own.own, "--netmask", str(subnet.prefixlen), "--gateway", own.gateway, "--dns-forward", own.dns,
            "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none", "--ns-ifname", "tap0",
            "--userns", userns, "--netns", netns,
        ]  # fmt: skip
    return [
        "slirp4netns", "--configure", f"--mtu={_MTU}", "--disable-host-loopback", f"--cidr={own.subnet}",
        f"--userns-path={userns}", "--netns-type=path", netns, "tap0",
    ]  # fmt: skip


def start(words: list[str], log: int, holder: int) -> int:
    """Start it and wait until the namespace in which process `holder` stands has a default route; its pid. Raises Unavailable."""
    try:
        running = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True, cwd="/"
        )
    except OSError as error:
        raise Unavailable(f"{words[0]}: {error.strerror}") from error
    ends = time.monotonic() + _SECONDS
    while not _has_default_route(holder):
        if (code := running.poll()) is not None:
            raise Unavailable(
                f"{words[0]} ended with {code}; is {TUN} open to you? (ls -l {TUN}: it should be crw-rw-rw-)"
            )
        if time.monotonic() > ends:
            running.kill()
            raise Unavailable(f"{words[0]} made no way out within {_SECONDS:.0f} s")
        time.sleep(_PAUSE)
    running.returncode = 0  # it goes on without us, and is nobody's to wait for
    return running.pid


def _has_default_route(holder: int) -> bool:
    with open(f"/proc/{holder}/net/route", encoding="ascii") as file:
        return any(line.split()[1:2] == ["00000000"] for line in file.read().splitlines()[1:])


def record(path: str, pid: int) -> None:
    """Note which process it is: pid and start time, so that no other is ever taken for it."""
    with open(path, "w", encoding="ascii", opener=_private) as file:
        file.write(f"{pid} {start_time(pid)}\n")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def recorded(path: str) -> int:
    """The pid of the one that runs; 0 where none does."""
    try:
        with open(path, encoding="ascii") as file:
            pid, started = (int(word) for word in file.read(64).split())
    except (OSError, ValueError):
        return 0
    return pid if started and start_time(pid) == started else 0


def stop(path: str) -> None:
    """End the one that runs, if any does."""
    pid = recorded(path)
    try:
        if pid:
            descriptor = os.pidfd_open(pid)
            try:
                if start_time(pid):
                    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            finally:
                os.close(descriptor)
        os.unlink(path)
    except (ProcessLookupError, FileNotFoundError):
        return


def start_time(pid: int) -> int:
    """When a process was started, in ticks since the boot; 0 where it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
