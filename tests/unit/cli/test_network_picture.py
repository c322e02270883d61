"""A network drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampan.cli.output.network_picture import picture

if TYPE_CHECKING:
    from sampan.client.documents import Document

NETWORK: Document = {
    "Name": "back", "Id": "0123456789abcdef", "Driver": "bridge", "Internal": True,
    "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}]},
    "Containers": {
        "b": {"Name": "web10", "IPv4Address": "10.9.0.3/24", "IPv6Address": "fd00::3/64", "MacAddress": "02:00:00:00:00:03"},
        "a": {"Name": "web9", "IPv4Address": "10.9.0.2/24", "IPv6Address": "", "MacAddress": "02:00:00:00:00:02"},
    },
}  # fmt: skip
INSIDE: dict[str, Document] = {
    "b": {
        "NetworkSettings": {
            "Networks": {"back": {"Aliases": ["www", "web10", "\x1b[2Jx"]}},
            "Ports": {
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
                "9/udp": None,
            },
        }
    }
}


def test_who_stands_in_it() -> None:
    assert picture(NETWORK, INSIDE) == [
        "back  0123456789ab  bridge, internal",
        "│   10.9.0.0/24  gateway 10.9.0.1",
        "│",
        "├── web9   10.9.0.2/24         02:00:00:00:00:02",
        "│",
        "└── web10  10.9.0.3/24         02:00:00:00:00:03  also www, ?[2Jx",
        "           fd00::3/64",
        "           9/udp               not published",
        "           80/tcp              → 0.0.0.0:8080, [::]:8080",
    ]


def test_in_ascii_and_empty() -> None:
    assert picture({"Name": "x", "Driver": "null"}, {}, plain=True) == ["x    null", "|", "`-- (no running container)"]
    assert all(line.isascii() for line in picture(NETWORK, INSIDE, plain=True))
