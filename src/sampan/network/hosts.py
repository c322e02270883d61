"""What a container's /etc/hosts and /etc/hostname say: pure functions. Nothing that could start a line of its own gets in."""

import ipaddress
from collections.abc import Iterable, Sequence

from sampan.errors import InvalidParameter

HOST_FILE = "/etc/hosts"
HOST_GATEWAY = "host-gateway"
"""`--add-host NAME:host-gateway`: the address of the host as containers see it."""

_STANDARD = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def parse_extra_hosts(entries: Iterable[str], gateways: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """HostConfig.ExtraHosts (`name:address`) as (address, name); `host-gateway` stands for each of `gateways`.

    Raises InvalidParameter in Docker's words.
    """
    answer: list[tuple[str, str]] = []
    for entry in entries:
        name, colon, address = entry.partition(":")
        if not colon or not is_name(name):
            raise InvalidParameter(f"bad format for add-host: {entry!r}")
        if address == HOST_GATEWAY:
            if not gateways:
                raise InvalidParameter("unable to derive the IP value for host-gateway")
            answer += [(gateway, name) for gateway in gateways]
            continue
        try:
            answer.append((str(ipaddress.ip_address(address.strip("[]"))), name))
        except ValueError as error:
            raise InvalidParameter(f"invalid IP address in add-host: {address!r}") from error
    return tuple(answer)


def hosts_file(
    hostname: str,
    domain: str = "",
    addresses: Iterable[str] = (),
    extra: Iterable[tuple[str, str]] = (),
) -> str:
    """The standard names, `extra`, then the container's own. Raises InvalidParameter for a name that is none."""
    hostname_of(hostname, domain)
    lines = [f"{ip}\t{names}" for ip, names in (*_STANDARD, *extra)]
    lines += [own_line(address, hostname, domain) for address in addresses if hostname]
    return "\n".join(lines) + "\n"


def own_line(address: str, hostname: str, domain: str = "") -> str:
    """The line for one of the container's own addresses."""
    own = hostname_of(hostname, domain)
    return f"{address}\t{own}" + (f" {hostname}" if own != hostname else "")


def host_network_file(origin: str, extra: Sequence[tuple[str, str]]) -> str | None:
    """In the host's network the container has a copy of the host's file, unless names are added to it (None: `hosts_file`)."""
    return None if extra else origin


def hostname_of(hostname: str, domain: str = "") -> str:
    """The full name. Raises InvalidParameter for blanks and control characters in it (CVE-2022-4318)."""
    name = f"{hostname}.{domain}" if domain else hostname
    if name and not is_name(name):
        raise InvalidParameter(f"invalid hostname: {name!r}")
    return name


def moved(text: bytes, name: bytes, address: bytes) -> bytes:
    """The file with `address` in each line whose first name is `name`; whatever else the container made of it stays."""
    lines = text.split(b"\n")
    for number, line in enumerate(lines):
        words = line.split(None, 2)
        if len(words) > 1 and words[1] == name and not words[0].startswith(b"#"):
            lines[number] = line.replace(words[0], address, 1)
    return b"\n".join(lines)


def without(text: bytes, name: bytes) -> bytes:
    """The file without the lines whose first name is `name`."""
    return b"\n".join(line for line in text.split(b"\n") if line.split(None, 2)[1:2] != [name])


def hostname_file(hostname: str) -> str:
    """The file /etc/hostname."""
    return hostname_of(hostname) + "\n"


def is_name(text: str) -> bool:
    """Whether it may stand in these files: no blank, no control character, no comment sign, of a length that resolvers take."""
    return 0 < len(text) <= 255 and text.isprintable() and not any(sign in text for sign in " #\u00a0")
