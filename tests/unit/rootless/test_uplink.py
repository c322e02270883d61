"""The way out as data: which program, which addresses, which flags."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from sampan.errors import Unavailable
from sampan.rootless import uplink

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def route(destination: str, mask: str) -> str:
    return f"eth0\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"


def test_a_subnet_that_the_machine_has_no_route_to() -> None:
    default = route("00000000", "00000000")
    assert uplink.addresses(HEAD + default).own == "10.0.2.100"
    # VirtualBox' guests stand in 10.0.2.0/24.
    taken = uplink.addresses(HEAD + default + route("0002000A", "00FFFFFF"))
    assert (taken.own, taken.gateway, taken.dns) == ("10.41.2.100", "10.41.2.2", "10.41.2.3")
    assert uplink.addresses(HEAD + route("0000000A", "000000FF")).subnet == "192.168.242.0/24"
    assert uplink.addresses("").subnet == "10.0.2.0/24"


def test_the_first_that_is_there_unless_one_is_wanted() -> None:
    assert uplink.choose("", lambda name: f"/bin/{name}") == "pasta"
    assert uplink.choose("", lambda name: "/x" if name == "slirp4netns" else None) == "slirp4netns"
    assert uplink.choose("", lambda _name: None) == "none"
    assert uplink.choose("none", lambda name: name) == "none"
    with pytest.raises(Unavailable, match="pasta is not installed: apt install passt"):
        uplink.choose("pasta", lambda _name: None)


@pytest.mark.parametrize("program", ["pasta", "slirp4netns"])
def test_neither_leads_to_the_machines_loopback(program: str) -> None:
    words = uplink.command(program, "/proc/1/ns/user", "/proc/1/fd/5", uplink.Addresses("10.0.2.0/24"))
    assert words[0] == program
    assert {"--no-map-gw", "--disable-host-loopback"} & set(words)
    if program == "pasta":
        pairs = dict(pairwise(words))
        assert [pairs[f"--{kind}"] for kind in ("tcp-ports", "udp-ports", "tcp-ns", "udp-ns")] == ["none"] * 4


def test_who_is_recorded_is_known_by_its_start_too(tmp_path: Path) -> None:
    path = str(tmp_path / "uplink.pid")
    assert uplink.recorded(path) == 0
    uplink.record(path, os.getpid())
    assert uplink.recorded(path) == os.getpid()
    Path(path).write_text(f"{os.getpid()} 1\n")
    assert uplink.recorded(path) == 0
    for text in ("", "x y", "1", "-1 -1", "1 0"):
        Path(path).write_text(text)
        assert uplink.recorded(path) == 0
    uplink.stop(path)
    assert not Path(path).exists()
    uplink.stop(path)
