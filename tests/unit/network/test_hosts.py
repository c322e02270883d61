import pytest

from sampan.errors import InvalidParameter
from sampan.network.hosts import host_network_file, hostname_file, hosts_file, parse_extra_hosts


def test_a_container_s_file() -> None:
    extra = parse_extra_hosts(["db:10.0.0.9", "six:2001:db8::1", "up:host-gateway"], ["172.17.0.1"])
    assert hosts_file("web", "example.com", ["172.17.0.2"], extra) == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "10.0.0.9\tdb\n"
        "2001:db8::1\tsix\n"
        "172.17.0.1\tup\n"
        "172.17.0.2\tweb.example.com web\n"
    )


def test_without_a_domain_or_an_address() -> None:
    assert hosts_file("web", addresses=["172.17.0.2"]).endswith("172.17.0.2\tweb\n")
    assert "web" not in hosts_file("web")


def test_bracketed_ipv6_and_several_gateways() -> None:
    assert parse_extra_hosts(["a:[::1]"], []) == (("::1", "a"),)
    assert parse_extra_hosts(["g:host-gateway"], ["10.0.0.1", "fd00::1"]) == (("10.0.0.1", "g"), ("fd00::1", "g"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("db", "bad format for add-host: 'db'"),
        (":1.2.3.4", "bad format for add-host"),
        ("a b:1.2.3.4", "bad format for add-host"),
        ("a\n6.6.6.6 bank:1.2.3.4", "bad format for add-host"),
        ("#:1.2.3.4", "bad format for add-host"),
        ("db:", "invalid IP address in add-host: ''"),
        ("db:1.2.3.4\n6.6.6.6 bank", "invalid IP address in add-host"),
        ("db:host", "invalid IP address in add-host: 'host'"),
    ],
)
def test_what_is_no_entry(entry: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse_extra_hosts([entry], ["172.17.0.1"])


def test_no_gateway_to_name() -> None:
    with pytest.raises(InvalidParameter, match="unable to derive the IP value for host-gateway"):
        parse_extra_hosts(["up:host-gateway"], [])


@pytest.mark.parametrize("name", ["a\nb", "a b", "a\x00", "a\u2028b", "a#b", "x" * 256])
def test_a_hostname_that_is_none(name: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid hostname"):
        hosts_file(name, addresses=["172.17.0.2"])
    with pytest.raises(InvalidParameter, match="invalid hostname"):
        hostname_file(name)


def test_hostname_file() -> None:
    assert hostname_file("web") == "web\n"


def test_the_host_s_network_copies_the_host_s_file() -> None:
    assert host_network_file("127.0.0.1 me\n", ()) == "127.0.0.1 me\n"
    assert host_network_file("127.0.0.1 me\n", (("10.0.0.1", "x"),)) is None
