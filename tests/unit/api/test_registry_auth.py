"""X-Registry-Auth as clients write it, and as they should not."""

import base64
import json

import pytest

from sampan.api.registry_auth import credentials
from sampan.api.request import Request
from sampan.registry.protocol import Credentials


class NoBody:
    expected = False

    async def next_chunk(self) -> bytes:
        return b""


def request(header: bytes | None) -> Request:
    headers = {} if header is None else {b"x-registry-auth": header}
    return Request("GET", "/distribution/x/json", "", headers, NoBody())


def encoded(**members: str | None) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(members).encode())


def test_names_and_tokens() -> None:
    header = encoded(
        username="me", password="ü??>", serveraddress="r", email=None, identitytoken="i", registrytoken="t"
    )
    assert credentials(request(header)) == Credentials("me", "ü??>", "i", "t")


@pytest.mark.parametrize(
    "header",
    [None, b"", b"%%%", b"e30", b"e30=", b"bnVsbA==", b"W10=", encoded(), base64.urlsafe_b64encode(b"\xff\xfe")],
)
def test_what_cannot_be_read_is_nobody(header: bytes | None) -> None:
    assert credentials(request(header)) == Credentials()
