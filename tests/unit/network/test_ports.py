import pytest

from sampan.errors import InvalidParameter, SampanError
from sampan.network.policy import Forward
from sampan.network.ports import PortRequest, Reach, parse_ports, placed, port_map, published_ports
from sampan.spec.ports import PortBinding


def bind(ip: str = "", port: str = "") -> tuple[PortBinding, ...]:
    return (PortBinding(host_ip=ip, host_port=port),)


def test_requests() -> None:
    requests = parse_ports(
        {"80/tcp": bind(port="8080"), "53/udp": bind("127.0.0.1", "53-60"), "81": bind(), "82/tcp": None},
    )
    assert requests == (
        PortRequest("tcp", 80, ("",), 8080, 8080),
        PortRequest("udp", 53, ("127.0.0.1",), 53, 60),
        PortRequest("tcp", 81, ("",)),
    )


def test_what_differs_in_the_host_s_address_alone_gets_one_port() -> None:
    bindings = (*bind("::1"), *bind("127.0.0.1"), *bind("::ffff:10.0.0.1"), *bind(port="80"))
    assert parse_ports({"80/tcp": bindings}) == (
        PortRequest("tcp", 80, ("",), 80, 80),
        PortRequest("tcp", 80, ("10.0.0.1", "127.0.0.1", "::1")),
    )


V4, V6 = "172.17.0.2", "fd00::2"


@pytest.mark.parametrize(
    ("host_ip", "reach", "targets"),
    [
        ("", Reach(V4), [("0.0.0.0", V4), ("::", V4)]),
        ("", Reach(V4, proxy=False), [("0.0.0.0", V4)]),
        ("", Reach(V4, has_ipv6=False), [("0.0.0.0", V4)]),
        ("", Reach(V4, V6, proxy=False), [("0.0.0.0", V4), ("::", V6)]),
        ("", Reach("", V6), [("::", V6)]),
        ("", Reach(V4, V6, "10.0.0.1"), [("10.0.0.1", V4)]),
        ("", Reach(V4, V6, "fd01::1"), [("fd01::1", V6)]),
        ("0.0.0.0", Reach(V4, V6), [("0.0.0.0", V4)]),
        ("::1", Reach(V4), [("::1", V4)]),
        ("::1", Reach(V4, proxy=False), []),
        ("127.0.0.1", Reach("", V6), []),
        ("127.0.0.1", Reach(V4, routed=True), [("0.0.0.0", V4)]),
        ("", Reach(V4, V6, routed6=True), [("0.0.0.0", V4), ("::", V6)]),
    ],
)
def test_where_ports_lead(host_ip: str, reach: Reach, targets: list[tuple[str, str]]) -> None:
    found = placed([PortRequest("tcp", 80, (host_ip,))], reach)
    assert [target[:2] for one in found for target in one.targets] == targets
    assert [target[2] for one in found for target in one.targets] == [
        reach.routed if ":" not in one else reach.routed6 for one, _ in targets
    ]


def test_which_callers_rules_serve_and_which_a_process() -> None:
    def kinds(host_ip: str, address: str) -> tuple[bool, bool]:
        forward = Forward("tcp", host_ip, 80, address, 80)
        return forward.is_translated, forward.is_proxied

    assert kinds("0.0.0.0", V4) == kinds("127.0.0.1", V4) == kinds("fd00::1", V6) == (True, False)
    assert kinds("::", V6) == (True, True)
    assert kinds("::1", V6) == kinds("::", V4) == kinds("fd00::1", V4) == (False, True)


def test_publish_all_takes_what_is_exposed_and_not_bound() -> None:
    requests = parse_ports({"80/tcp": bind(port="8080"), "90/tcp": None}, exposed=["80/tcp", "90/tcp", "91/udp"])
    assert [(request.port, request.first) for request in requests] == [(80, 8080), (90, 0), (91, 0)]


def test_what_is_not_exposed_is_not_published() -> None:
    bindings = {"80/tcp": bind(port="8080"), "81/tcp": bind(), "82": bind()}
    exposed = ("81/tcp", "82/tcp", "83/udp")
    assert [one.port for one in published_ports(bindings, exposed, every=False)] == [81]
    assert [one.port for one in published_ports(bindings, exposed, every=True)] == [81, 82, 83]


@pytest.mark.parametrize(
    ("ports", "kind"),
    [
        ({"80/tcp": bind(port="70000")}, InvalidParameter),
        ({"80/tcp": bind(port="x")}, InvalidParameter),
        ({"80/tcp": bind(port="-1")}, InvalidParameter),
        ({"80/tcp": bind(port="9-8")}, InvalidParameter),
        ({"80/tcp": bind(port="9" * 5000)}, InvalidParameter),
        ({"80/tcp": bind("nowhere")}, InvalidParameter),
        ({"99999/tcp": bind()}, InvalidParameter),
        ({"٣/tcp": bind()}, InvalidParameter),
        ({"80/xyz": bind()}, InvalidParameter),
        ({"80/tcp": bind("fe80::1%eth0")}, InvalidParameter),
    ],
)
def test_refused(ports: dict[str, tuple[PortBinding, ...]], kind: type[SampanError]) -> None:
    with pytest.raises(kind):
        parse_ports(ports)


def test_sctp_does_not_go_from_one_family_to_the_other() -> None:
    (request,) = parse_ports({"9/sctp": bind(port="99")})
    for reach, targets in ((Reach(V4), [("0.0.0.0", V4)]), (Reach(V4, V6), [("0.0.0.0", V4), ("::", V6)])):
        assert [one[:2] for one in placed([request], reach)[0].targets] == targets
    assert not Forward("sctp", "::", 99, V6, 9).is_proxied
    assert Forward("tcp", "::", 99, V6, 9).is_proxied


def test_port_map() -> None:
    forwards = [
        Forward("tcp", "0.0.0.0", 8080, "172.17.0.2", 80),
        Forward("tcp", "127.0.0.1", 8081, "172.17.0.2", 80),
        Forward("udp", "0.0.0.0", 53, "172.17.0.2", 53),
    ]
    assert port_map(["80/tcp", "443/tcp"], forwards) == {
        "80/tcp": (
            PortBinding(host_ip="0.0.0.0", host_port="8080"),
            PortBinding(host_ip="127.0.0.1", host_port="8081"),
        ),
        "443/tcp": None,
        "53/udp": (PortBinding(host_ip="0.0.0.0", host_port="53"),),
    }
