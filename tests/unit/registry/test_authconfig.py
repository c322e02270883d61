"""X-Registry-Auth as clients write it, and as they should not."""

import base64
import json

import pytest

from sampan.registry.authconfig import credentials_for, lenient_auth
from sampan.registry.protocol import Credentials


def encoded(**members: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode()


def test_names_and_tokens() -> None:
    header = encoded(
        username="me", password="ü??>", serveraddress="r", email=None, identitytoken="i", registrytoken="t"
    )
    assert lenient_auth(header) == Credentials("me", "ü??>", "i", "t")


@pytest.mark.parametrize(
    "header",
    ["", "%%%", "e30", "e30=", "bnVsbA==", "W10=", "ü", encoded(), base64.urlsafe_b64encode(b"\xff\xfe").decode()],
)
def test_what_cannot_be_read_is_nobody(header: str) -> None:
    assert lenient_auth(header) == Credentials()


@pytest.mark.parametrize(
    "name", ["docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"]
)
def test_docker_hub_goes_by_several_names(name: str) -> None:
    known = {name: Credentials("user", "password"), "registry.example": Credentials("other")}
    assert credentials_for(known, "docker.io").username == "user"
    assert credentials_for(known, "registry.example").username == "other"
    assert credentials_for(known, "elsewhere.example") == Credentials()
