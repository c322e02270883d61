"""The address of a server that a volume names."""

import socket

import pytest

from sampan.volumes.mounted import resolve


def test_an_address_of_the_older_kind_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order the machine's own preference gives (getaddrinfo(3), RFC 6724)."""
    answers = socket.getaddrinfo("::1", None, proto=socket.IPPROTO_TCP)
    both = [*answers, *socket.getaddrinfo("127.0.0.7", None, proto=socket.IPPROTO_TCP)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_words: list(both))
    assert resolve("both") == "127.0.0.7"
    del both[1]
    assert resolve("newer") == "::1"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "lookup files: no such host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
         "lookup files: temporary failure in name resolution"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch, error: OSError, told: str) -> None:
    def fail(*_args: object, **_words: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError, match=f"^{told}$"):
        resolve("files")


def test_what_cannot_be_a_name() -> None:
    with pytest.raises(OSError, match="no such host"):
        resolve("a" * 300)
