import pytest

from sampan.errors import InvalidParameter
from sampan.network.modes import Mode, ModeKind, parse_mode


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", Mode(ModeKind.BRIDGE)),
        ("default", Mode(ModeKind.BRIDGE)),
        ("bridge", Mode(ModeKind.BRIDGE)),
        ("host", Mode(ModeKind.HOST)),
        ("none", Mode(ModeKind.NONE)),
        ("container:web", Mode(ModeKind.CONTAINER, "web")),
    ],
)
def test_modes(text: str, mode: Mode) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["container", "container:"])
def test_no_container_named(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_mode(text)


def test_a_network_of_one_s_own() -> None:
    assert parse_mode("mine") == Mode(ModeKind.NETWORK, network="mine")
