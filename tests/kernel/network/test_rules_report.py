"""`network inspect --rules`: the same as `nft list ruleset`, accepted by `nft`, and honest about what differs."""

import re
import subprocess

import pytest

from sampan.network.firewall_mark import FirewallMark
from sampan.network.networks import Networks
from sampan.network.rules_report import Report
from sampan.spec.networks import IPAM, IPAMConfig
from tests.kernel.network.lab import Container, Lab
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "ip")

TABLE = "sampan-0123456789ab"


def nft(*words: str, text: str | None = None) -> str:
    done = subprocess.run(["nft", *words], check=False, capture_output=True, text=True, input=text)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout


def asked(networks: Networks, name: str, **names: str) -> Report:
    return networks.rules(networks.find(name), {address: container for container, address in names.items()})


def statements(text: str) -> dict[str, set[str]]:
    """Table and chain or set → its lines, elements one by one, without remarks and counts."""
    found: dict[str, set[str]] = {}
    where: list[str] = []
    joined = re.sub(
        r"elements = \{(.*?)\}",
        lambda one: " ".join(("elements = {" + one[1] + "}").split()),
        _bare(text),
        flags=re.DOTALL,
    )
    for line in (one.strip() for one in joined.splitlines()):
        if line.endswith("{"):
            where.append(line[:-1].strip())
        elif line == "}":
            where.pop()
        elif line.startswith("elements = {"):
            members = line[len("elements = {") : -1].split(",")
            found.setdefault("/".join(where), set()).update(one.strip() for one in members if one.strip())
        elif line and len(where) > 1:
            found.setdefault("/".join(where), set()).add(re.sub(r"counter packets \d+ bytes \d+", "counter", line))
    return found


def _bare(text: str) -> str:
    return "\n".join(re.sub(r"\s# .*", "", line) for line in text.splitlines() if not line.startswith("#"))


def real(family: str = "") -> dict[str, set[str]]:
    return statements(nft("list", "ruleset", *([family] if family else [])))


def test_it_is_what_nft_lists(lab: Lab) -> None:
    networks = lab.open(ipv6=True, accepted_mark=FirewallMark(0x102, 0xFF03))
    web = Container(networks)
    web.publish(tcp80=":8080", udp53="127.0.0.1:5353")
    found = asked(networks, "bridge", web=web.address, web6=web.address6)
    assert found.drift == ()
    assert statements(found.text) == real()
    assert f"tcp . 8080 : {web.address} . 80,  # web, port 80/tcp" in found.text
    assert f"udp . 127.0.0.1 . 5353 : {web.address} . 53,  # web, port 53/udp" in found.text
    assert f"tcp . 8080 : {web.address6} . 80,  # web6, port 80/tcp" in found.text
    nft("-c", "-f", "-", text=found.text)


def test_nft_makes_the_same_of_it(lab: Lab) -> None:
    """What it prints is not only accepted: loaded into an empty rule set it gives the tables that were printed."""
    networks = lab.open(ipv6=True)
    Container(networks).publish(tcp80=":8080")
    before = real()
    text = asked(networks, "bridge").text
    networks.close()
    nft("flush", "ruleset")
    nft("-f", "-", text=text)
    assert real() == before


def test_one_network_alone(lab: Lab) -> None:
    networks = lab.open()
    lab.create(
        "back",
        ipam=IPAM(config=(IPAMConfig(subnet="10.88.0.0/24"),)),
        options={"com.docker.network.bridge.enable_icc": "false"},
    )
    lab.create("vault", internal=True)
    one, other = Container(networks), Container(networks, "back")
    one.publish(tcp80=":8080")
    other.publish(tcp81=":8081")
    text = asked(networks, "back", other=other.address).text
    assert "tcp . 8081 : 10.88.0.2 . 81,  # other, port 81/tcp" in text
    assert "8080" not in text
    assert "10.88.0.0/24,  # network back" in text
    whole = real()
    for where, lines in statements(text).items():
        assert lines <= whole[where], where
    assert {where for where in whole if "/chain" in where} <= set(statements(text))
    nft("-c", "-f", "-", text=text)
    assert "No rule concerns it" in asked(networks, "host").text


def test_lines_in_the_chains_of_others(lab: Lab) -> None:
    nft(
        "-f",
        "-",
        text="table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; ip saddr 192.0.2.1 drop; }; }",
    )
    networks = lab.open()
    text = asked(networks, "bridge").text
    assert (
        'oifname "sampan0" counter packets 0 bytes 0 accept comment "sampan 0123456789ab any to sampan0: accept"'
        in text
    )
    assert "192.0.2.1" not in text
    nft("-c", "-f", "-", text=text)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (f"delete table ip6 {TABLE}", f"table ip6 {TABLE} is missing"),
        (f"flush chain ip {TABLE} raw", f"table ip {TABLE}: chain raw lacks: iifname"),
        (
            f"add rule ip {TABLE} forward ip saddr 192.0.2.1 accept",
            "chain forward has of somebody else: ip saddr 192.0.2.1 accept",
        ),
        (
            f"add rule ip {TABLE} forward tcp flags syn accept",
            "chain forward has of somebody else: # not in Sampan's words",
        ),
        (f"add chain ip {TABLE} mine", "chain mine is somebody else's"),
        (
            f"delete element ip {TABLE} ports_anywhere {{ tcp . 8080 }}",
            "set ports_anywhere lacks: tcp . 8080 : 172.17.0.2 . 80",
        ),
        (f'add element ip {TABLE} bridges {{ "eth9" }}', 'set bridges has of somebody else: "eth9"'),
    ],
)
def test_what_differs_from_the_plan_is_told(lab: Lab, damage: str, told: str) -> None:
    networks = lab.open()
    Container(networks).publish(tcp80=":8080")
    nft(damage)
    found = asked(networks, "bridge")
    assert any(told in one for one in found.drift), found.drift
    assert f"# DIFFERS FROM THE PLAN: {found.drift[0]}" in found.text
    nft("-c", "-f", "-", text=found.text)
    networks.restore()
    if "delete" in damage or "flush" in damage:
        assert asked(networks, "bridge").drift == ()


def test_a_name_starts_no_line(lab: Lab) -> None:
    networks = lab.open()
    Container(networks).publish(tcp80=":8080")
    text = asked(networks, "bridge", **{"a\nflush ruleset": "172.17.0.2"}).text
    assert "# a?flush ruleset, port 80/tcp" in text
