"""Which hosts are asked for a registry's content, and how each is trusted."""

import ipaddress
from pathlib import Path

import pytest

from sampan.errors import Forbidden, InvalidParameter, System
from sampan.registry.host import Capability, Host, Trust
from sampan.registry.hosts import Hosts
from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.spec.ids import Digest


def write(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name.replace("__", ".")).write_text(text)
    return place


def test_docker_io_has_mirrors_and_a_host_of_another_name() -> None:
    hosts = Hosts(Settings(mirrors=("https://mirror.example/", "http://cache:5000/hub/")))
    found = hosts.pulling("docker.io")
    assert [one.url for one in found] == [
        "https://mirror.example/v2",
        "http://cache:5000/hub/v2",
        "https://registry-1.docker.io/v2",
    ]
    assert [one.own for one in found] == [False, False, True]
    assert [one.mirror for one in found] == [True, True, False]
    assert [one.url for one in hosts.pushing("docker.io")] == ["https://registry-1.docker.io/v2"]
    assert [one.url for one in hosts.pulling("other.example")] == ["https://other.example/v2"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.3.2.1:5000", "localhost", "localhost:5000", "a.localhost", "[::1]:5000"]
)
def test_loopback_is_insecure(address: str) -> None:
    assert Hosts(Settings()).registry(address) == Host("https", address, trust=Trust(verify=False), insecure=True)


@pytest.mark.parametrize(
    "address", ["registry.example", "10.1.2.3:5000", "localhost.example", "127.1:5000", "[2001:db8::1]:443"]
)
def test_elsewhere_has_to_prove_its_name(address: str) -> None:
    assert Hosts(Settings()).registry(address) == Host("https", address)


def test_insecure_by_name_and_by_network() -> None:
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))
    hosts = Hosts(Settings(insecure_names=frozenset(("one.example:5000",)), insecure_networks=networks))
    insecure = ["one.example:5000", "10.1.2.3", "10.1.2.3:5000", "[2001:db8::1]:5000"]
    secure = ["one.example", "one.example:5001", "11.1.2.3", "[2001:db9::1]:5000"]
    assert [hosts.is_insecure(one) for one in insecure] == [True] * 4
    assert [hosts.is_insecure(one) for one in secure] == [False] * 4


def test_a_configured_network_counts_for_a_name_too() -> None:
    """`127.1` is a name here: only the resolver knows it for an address."""
    hosts = Hosts(Settings(insecure_networks=(ipaddress.ip_network("127.0.0.0/8"),)))
    assert hosts.is_insecure("127.1:5000")


def test_certificates_by_their_names(tmp_path: Path) -> None:
    place = write(tmp_path / "r.example:5000", b__crt="", a__crt="", us__cert="", us__key="", note__txt="")
    host = Hosts(Settings(certificates=(tmp_path / "none", tmp_path))).registry("r.example:5000")
    assert host.trust == Trust(True, (place / "a.crt", place / "b.crt"), ((place / "us.cert", place / "us.key"),))
    assert Hosts(Settings(certificates=(tmp_path,))).registry("r.example").trust == Trust()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("x.cert", "missing key x.key for client certificate x.cert. CA certificates must use the extension .crt"),
        ("x.key", "missing client certificate x.cert for key x.key"),
    ],
)
def test_half_a_pair(tmp_path: Path, file: str, text: str) -> None:
    write(tmp_path / "r.example", **{file.replace(".", "__"): ""})
    with pytest.raises(System) as failed:
        Hosts(Settings(certificates=(tmp_path,))).registry("r.example")
    assert str(failed.value) == text


HOSTS = """
server = "https://r.example"

[host."https://near.example/cache"]
  capabilities = ["pull", "resolve"]
  ca = "near.crt"
  client = [["us.cert", "us.key"], "both.pem"]
  [host."https://near.example/cache".header]
    x-one = "1"
    x-two = ["a", "b"]

[host."http://plain.example:5000/exactly/here"]
  override_path = true
  skip_verify = true
"""


def test_hosts_toml(tmp_path: Path) -> None:
    place = write(tmp_path / "r.example", hosts__toml=HOSTS, ca__crt="")
    near, plain, server = Hosts(Settings(certificates=(tmp_path,))).pulling("r.example")
    assert near == Host(
        "https",
        "near.example",
        "/cache/v2",
        Trust(True, (place / "near.crt",), ((place / "us.cert", place / "us.key"), (place / "both.pem",) * 2)),
        mirror=True,
        own=False,
        capabilities=Capability.PULL | Capability.RESOLVE,
        headers=(("x-one", "1"), ("x-two", "a, b")),
    )
    assert (plain.url, plain.insecure, plain.own) == ("http://plain.example:5000/exactly/here", True, False)
    assert server == Host("https", "r.example", trust=Trust(True, (place / "ca.crt",)))
    assert Hosts(Settings(certificates=(tmp_path,))).pushing("r.example") == (server,)


@pytest.mark.parametrize(
    "text",
    [
        "server = ",
        'server = "ftp://x"',
        'server = "https://user:pw@x"',
        '[host."https://x"]\ncapabilities = ["fly"]',
        '[host."https://x"]\nskip_verify = "yes"',
        '[host."https://x".header]\n"a b" = "c"',
        '[host."https://x".header]\nx = "a\\r\\nb"',
        '[host."https://x"]\nclient = [["a", "b", "c"]]',
    ],
)
def test_a_bad_hosts_toml_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path / "r.example", hosts__toml=text)
    with pytest.raises(System, match=r"hosts\.toml"):
        Hosts(Settings(certificates=(tmp_path,))).pulling("r.example")


@pytest.mark.parametrize("name", ["r.example:5000", "r.example_5000_", "_default"])
def test_spellings_of_a_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, hosts__toml='[host."https://m"]')
    assert [one.address for one in Hosts(Settings(certificates=(tmp_path,))).pulling("r.example:5000")] == [
        "m",
        "r.example:5000",
    ]


def test_a_registry_that_takes_no_pushes(tmp_path: Path) -> None:
    write(tmp_path / "r.example", hosts__toml='capabilities = ["pull", "resolve"]')
    registries = RemoteRegistries(Settings(certificates=(tmp_path,)))
    with pytest.raises(Forbidden, match=r"https://r\.example takes no pushes"):
        registries.pushing("r.example", "a", Credentials()).mount(Digest("sha256:" + "0" * 64), "b")


@pytest.mark.parametrize(
    ("domain", "path"), [("r.example", "../x"), ("r.example", "a?b"), ("r.example/x", "a"), ("a b", "a")]
)
def test_names_that_would_be_other_urls(domain: str, path: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid reference format"):
        RemoteRegistries(Settings()).pulling(domain, path, Credentials())
