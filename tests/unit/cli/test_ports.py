"""-p and --expose."""

import pytest

from sampan.cli.create.ports import exposed, published


def binding(address: str, port: str) -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", {"80/tcp": [binding("", "")]}),
        ("8080:80", {"80/tcp": [binding("", "8080")]}),
        ("8080:80/udp", {"80/udp": [binding("", "8080")]}),
        ("127.0.0.1:8080:80", {"80/tcp": [binding("127.0.0.1", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [binding("127.0.0.1", "")]}),
        ("[::1]:8080:80/sctp", {"80/sctp": [binding("::1", "8080")]}),
        ("1-2:81-82", {"81/tcp": [binding("", "1")], "82/tcp": [binding("", "2")]}),
        ("1-9:80", {"80/tcp": [binding("", "1-9")]}),
        ("80-81", {"80/tcp": [binding("", "")], "81/tcp": [binding("", "")]}),
        ("published=1,target=2", {"2/tcp": [binding("", "1")]}),
    ],
)
def test_published(text: str, expected: object) -> None:
    declared, bindings = published([text])
    assert bindings == expected
    assert sorted(declared) == sorted(bindings)


def test_two_bindings_of_one_port_stay_two() -> None:
    _, bindings = published(["1:80", "127.0.0.1:2:80"])
    assert bindings == {"80/tcp": [binding("", "1"), binding("127.0.0.1", "2")]}


@pytest.mark.parametrize(
    "text", ["", "x", "80/x", "3-1:80", "1-2:80-82", "65536:80", "80:65536", "1.2.3:1:2", "-1:80", "٣:80", "a=b,c"]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        published([text])


def test_exposed() -> None:
    assert exposed(["80", "1-2/udp"]) == ["80/tcp", "1/udp", "2/udp"]
    with pytest.raises(ValueError, match="invalid range format for --expose: x"):
        exposed(["x"])
