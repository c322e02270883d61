"""What the alias of a bridge remembers of the host's forwarding."""

import pytest

from sampan.network.forwarding import Memory, read

LABEL = "sampan 0123456789ab"


@pytest.mark.parametrize(
    ("memory", "alias"),
    [
        (Memory(), LABEL),
        (Memory(ipv4=True), f"{LABEL} forwarding-was-off"),
        (Memory(ipv6=True, listeners=("eth0", "wlan0")), f"{LABEL} ipv6-forwarding-was-off:eth0:wlan0"),
        (Memory(True, True), f"{LABEL} forwarding-was-off ipv6-forwarding-was-off"),
    ],
)
def test_it_comes_back(memory: Memory, alias: str) -> None:
    assert memory.alias(LABEL) == alias
    assert read(alias, LABEL) == memory


def test_whose_bridge_it_is() -> None:
    assert read(f"{LABEL}0", LABEL) is None
    assert read("", LABEL) is None
    assert read(f"{LABEL} something-later", LABEL) == Memory()
