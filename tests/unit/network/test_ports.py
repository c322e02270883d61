import pytest

from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.network.firewall import Forward
from sampan.network.ports import PortRequest, parse_ports, port_map
from sampan.spec.ports import PortBinding


def bind(ip: str = "", port: str = "") -> tuple[PortBinding, ...]:
    return (PortBinding(host_ip=ip, host_port=port),)


def test_requests() -> None:
    requests = parse_ports(
        {"80/tcp": bind(port="8080"), "53/udp": bind("127.0.0.1", "53-60"), "81": bind(), "82/tcp": None},
        default_ip="10.0.0.1",
    )
    assert requests == (
        PortRequest("tcp", 80, "10.0.0.1", 8080, 8080),
        PortRequest("udp", 53, "127.0.0.1", 53, 60),
        PortRequest("tcp", 81, "10.0.0.1"),
    )


def test_publish_all_takes_what_is_exposed_and_not_bound() -> None:
    requests = parse_ports({"80/tcp": bind(port="8080"), "90/tcp": None}, exposed=["80/tcp", "90/tcp", "91/udp"])
    assert [(request.port, request.first) for request in requests] == [(80, 8080), (90, 0), (91, 0)]


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
        ({"80/sctp": bind()}, NotImplementedHere),
        ({"80/tcp": bind("::1")}, NotImplementedHere),
    ],
)
def test_refused(ports: dict[str, tuple[PortBinding, ...]], kind: type[SampanError]) -> None:
    with pytest.raises(kind):
        parse_ports(ports)


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
