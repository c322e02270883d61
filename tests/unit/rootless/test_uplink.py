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


def test_ipv6_where_the_machine_has_a_way_out_by_it() -> None:
    zeros = "0" * 32
    refusing = f"{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n"
    real = f"{zeros} 00 {zeros} 00 fd00{'0' * 27}1 00000400 00000003 00000000 00000003     eth0\n"
    assert not uplink.addresses("", refusing).ipv6
    assert uplink.addresses("", refusing + real).ipv6
    words = uplink.command("pasta", "/u", "/n", uplink.addresses("", real))
    assert "--ipv4-only" not in words
    assert "--ipv4-only" in uplink.command("pasta", "/u", "/n", uplink.addresses("", refusing))


def test_the_first_that_is_there_unless_one_is_wanted() -> None:
    new, old = "pasta 2024_06_07.8a83b53", "pasta unknown version"
    assert uplink.choose("", lambda name: f"/bin/{name}", lambda _path: new) == "pasta"
    assert uplink.choose("", lambda name: f"/bin/{name}", lambda _path: old) == "slirp4netns"
    assert uplink.choose("", lambda name: name if name == "pasta" else None, lambda _path: old) == "pasta"
    assert uplink.choose("pasta", lambda name: f"/bin/{name}", lambda _path: old) == "pasta"
    assert uplink.choose("", lambda name: "/x" if name == "slirp4netns" else None) == "slirp4netns"
    assert uplink.choose("", lambda _name: None) == "none"
    assert uplink.choose("none", lambda name: name) == "none"
    with pytest.raises(Unavailable, match="pasta is not installed: apt install passt"):
        uplink.choose("pasta", lambda _name: None)


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("pasta unknown version", False),
        ("", False),
        ("pasta 0.0~git20230309.7c7625d-1", False),
        ("pasta 0.0~git20240220.1e6f92b-1", True),
        ("pasta 2025_05_03.587980c", True),
    ],
)
def test_an_old_pasta_is_known(said: str, whole: bool) -> None:
    assert uplink.is_whole(said) is whole


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
