import pytest

from sampan.errors import InvalidParameter
from sampan.network.resolvconf import FALLBACK_SERVERS, Resolver, for_container, parse, render, uses_stub

HOST = """\
# a comment
; another
nameserver 10.0.0.1
nameserver 127.0.0.53 # stub
nameserver 2001:db8::1
nameserver not-an-address
domain old.example
search one.example two.example
options ndots:2
options timeout:1 rotate
sortlist 130.155.160.0
nameserver
"""


def test_parse() -> None:
    assert parse(HOST) == Resolver(
        servers=("10.0.0.1", "127.0.0.53", "2001:db8::1"),
        search=("one.example", "two.example"),
        options=("ndots:2", "timeout:1", "rotate"),
        other=("sortlist 130.155.160.0",),
    )


def test_loopback_and_ipv6_servers_are_left_out() -> None:
    assert for_container(parse(HOST)).servers == ("10.0.0.1",)


@pytest.mark.parametrize("text", ["", "nameserver 127.0.0.1\n", "nameserver ::1\nnameserver 127.0.0.53\n"])
def test_when_none_is_left(text: str) -> None:
    assert for_container(parse(text)).servers == FALLBACK_SERVERS


def test_the_host_s_network_has_the_host_s_servers() -> None:
    assert for_container(parse("nameserver 127.0.0.53\n"), own_loopback=False).servers == ("127.0.0.53",)
    assert for_container(parse(""), own_loopback=False).servers == ()


def test_only_systemd_s_stub_means_another_file() -> None:
    assert uses_stub(parse("nameserver 127.0.0.53\noptions edns0\n"))
    assert not uses_stub(parse(HOST))


def test_what_is_asked_for_takes_the_place_of_the_host_s() -> None:
    asked = for_container(parse(HOST), ("127.0.0.1", "fe80::1%eth0"), ("a.example",), ("ndots:5",))
    assert asked == Resolver(("127.0.0.1", "fe80::1%eth0"), ("a.example",), ("ndots:5",), ("sortlist 130.155.160.0",))
    assert for_container(parse(HOST), search=(".",)).search == ()


@pytest.mark.parametrize(
    ("servers", "search", "options"),
    [
        (("1.2.3.4\nnameserver 6.6.6.6",), (), ()),
        (("example.com",), (), ()),
        (("fe80::1%eth0\nsearch evil",), (), ()),
        (("1.2.3.4 ",), (), ()),
        ((), ("a b",), ()),
        ((), ("a\nnameserver 6.6.6.6",), ()),
        ((), ("-x",), ()),
        ((), ("a" * 300,), ()),
        ((), (), ("ndots:1\nnameserver 6.6.6.6",)),
        ((), (), ("",)),
        ((), (), ("a b",)),
    ],
)
def test_nothing_starts_a_line_of_its_own(servers: tuple[str], search: tuple[str], options: tuple[str]) -> None:
    with pytest.raises(InvalidParameter):
        for_container(Resolver(), servers, search, options)


def test_a_host_s_file_full_of_control_characters() -> None:
    text = "nameserver 1.2.3.4\x0b\nsearch a\x00b\noptions \x1b[2J\nsortlist \x7f\n"
    assert parse(text) == Resolver(servers=("1.2.3.4",))


def test_render() -> None:
    text = render(Resolver(("10.0.0.1", "10.0.0.2"), ("a", "b"), ("ndots:2",), ("sortlist 1.2.3.4",)))
    assert text.splitlines()[1:] == [
        "",
        "nameserver 10.0.0.1",
        "nameserver 10.0.0.2",
        "search a b",
        "options ndots:2",
        "sortlist 1.2.3.4",
    ]
    assert parse(text) == Resolver(("10.0.0.1", "10.0.0.2"), ("a", "b"), ("ndots:2",), ("sortlist 1.2.3.4",))
