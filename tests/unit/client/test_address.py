"""Host strings."""

import pytest

from sampan.client.address import DEFAULT_SOCKET, parse_address
from sampan.errors import InvalidParameter, NotImplementedHere


@pytest.mark.parametrize(
    ("text", "secure", "expected"),
    [
        ("", False, ("unix", DEFAULT_SOCKET, "", 0, f"unix://{DEFAULT_SOCKET}")),
        ("unix:///tmp/x.sock", False, ("unix", "/tmp/x.sock", "", 0, "unix:///tmp/x.sock")),
        ("unix://", False, ("unix", DEFAULT_SOCKET, "", 0, f"unix://{DEFAULT_SOCKET}")),
        ("tcp://host", False, ("tcp", "", "host", 2375, "tcp://host:2375")),
        ("tcp://host", True, ("tcp", "", "host", 2376, "tcp://host:2376")),
        ("host:99", False, ("tcp", "", "host", 99, "tcp://host:99")),
        ("tcp://:99", False, ("tcp", "", "localhost", 99, "tcp://localhost:99")),
        ("tcp://[::1]:99", False, ("tcp", "", "::1", 99, "tcp://[::1]:99")),
        ("https://host:1/path", False, ("tcp", "", "host", 1, "tcp://host:1")),
    ],
)
def test_addresses(text: str, secure: bool, expected: tuple[str, str, str, int, str]) -> None:
    found = parse_address(text, secure)
    assert (found.scheme, found.path, found.host, found.port, found.text) == expected


@pytest.mark.parametrize(
    "text", ["tcp://host:x", "tcp://host:0", "tcp://host:65536", "tcp://[::1", "tcp://::1", "foo://x", "tcp://h:١"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_address(text)


@pytest.mark.parametrize("text", ["ssh://user@host", "npipe:////./pipe/docker", "fd://"])
def test_what_is_not_offered_is_named(text: str) -> None:
    with pytest.raises(NotImplementedHere, match=text.partition(":")[0]):
        parse_address(text)
