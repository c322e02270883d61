"""Logins as docker keeps them: in config.json, or in a helper."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sampan.cli.credentials import config_file, keychain, saved
from sampan.cli.credentials.header import encoded, headers_for
from sampan.cli.credentials.saved import Login
from sampan.cli.failures import Exit
from sampan.client.documents import object_of
from sampan.registry.names import HUB_INDEX

if TYPE_CHECKING:
    from sampan.client.documents import Document


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def shown(login: Login) -> tuple[str, str, str, str]:
    return login.username, login.password, login.identity_token, login.registry_token


HELPER = """#!/bin/sh
# A keyring: a file for each registry.
read -r line || true
registry=$(echo "$line" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' | tr -c 'a-zA-Z0-9\\n' _)
none() { echo "credentials not found in native keychain"; exit 1; }
case "$1" in
get) cat "$KEYRING/$registry" 2>/dev/null || none ;;
store) echo "$line" >"$KEYRING/$registry" ;;
erase) rm "$KEYRING/$registry" 2>/dev/null || none ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docker-credential-tests` on PATH; the directory that it keeps its secrets in."""
    program = tmp_path / "bin" / "docker-credential-tests"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    (tmp_path / "ring").mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("KEYRING", str(tmp_path / "ring"))
    return tmp_path / "ring"


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ("busybox", HUB_INDEX),
        ("me/busybox", HUB_INDEX),
        ("docker.io/me/busybox", HUB_INDEX),
        ("index.docker.io/me/busybox", HUB_INDEX),
        ("localhost/x", "localhost"),
        ("r.example:5000/a/b:tag", "r.example:5000"),
    ],
)
def test_key_of_image(image: str, key: str) -> None:
    assert saved.key_of_image(image) == key


def test_found_in_the_file() -> None:
    config: Document = {
        "auths": {
            HUB_INDEX: {"auth": auth("me:pw:with:colons")},
            "https://old.example/v1/": {"auth": auth("old:pw\0\0")},
            "token.example": {"auth": auth("me:"), "identitytoken": "id", "registrytoken": "reg"},
            "plain.example": {"username": "u", "password": "p"},
            "broken.example": {"auth": "%%%"},
        }
    }
    assert shown(saved.find(config, HUB_INDEX)) == ("me", "pw:with:colons", "", "")
    assert shown(saved.find(config, "old.example")) == ("old", "pw", "", "")
    assert shown(saved.find(config, "token.example")) == ("me", "", "id", "reg")
    assert shown(saved.find(config, "plain.example")) == ("u", "p", "", "")
    assert not saved.find(config, "broken.example")
    assert not saved.find(config, "unknown.example")


def test_kept_in_the_file() -> None:
    config: Document = {"other": 1}
    assert saved.keep(config, Login("r.example", "me", "pw"))
    assert saved.keep(config, Login("a.example", "me", "unused", "id"))
    assert config == {
        "other": 1,
        "auths": {"a.example": {"auth": auth("me:"), "identitytoken": "id"}, "r.example": {"auth": auth("me:pw")}},
    }
    saved.forget(config, ["r.example", "http://r.example"])
    assert list(object_of(config, "auths")) == ["a.example"]


def test_a_helper_keeps_it(helper: Path) -> None:
    config: Document = {"credHelpers": {"r.example": "tests"}}
    assert not saved.keep(config, Login("r.example", "me", "pw"))
    assert config["auths"] == {"r.example": {}}
    assert shown(saved.find(config, "r.example")) == ("me", "pw", "", "")
    saved.forget(config, ["r.example"])
    assert list(helper.iterdir()) == []
    assert not saved.find(config, "r.example")


def test_an_identity_token_in_a_helper(helper: Path) -> None:
    config: Document = {"credsStore": "tests"}
    saved.keep(config, Login("r.example", "me", "", "id"))
    assert json.loads(next(helper.iterdir()).read_text())["Username"] == "<token>"
    assert shown(saved.find(config, "r.example")) == ("", "", "id", "")


def test_a_helper_that_is_not_there() -> None:
    config: Document = {"credsStore": "nowhere"}
    with pytest.raises(keychain.KeychainFailed, match="executable file not found"):
        saved.find(config, "r.example")
    assert headers_for(config, "r.example/x") == []
    with pytest.raises(keychain.KeychainFailed, match="is no program's name"):
        saved.find({"credsStore": "../../bin/sh"}, "r.example")


def test_the_header() -> None:
    text = encoded(Login("r.example", "ü?>", "pw"))
    assert set(text) & set("+/") == set()
    assert json.loads(base64.urlsafe_b64decode(text)) == {
        "username": "ü?>",
        "password": "pw",
        "serveraddress": "r.example",
    }
    config: Document = {"auths": {"r.example": {"auth": auth("me:pw")}}}
    assert [name for name, _ in headers_for(config, "r.example/x")] == ["X-Registry-Auth"]
    assert headers_for(config, "busybox") == []


def test_the_file_is_replaced_whole_and_for_its_owner(tmp_path: Path) -> None:
    place = tmp_path / "home" / ".docker"
    assert config_file.read_for_change(str(place)) == {}
    config_file.write(str(place), {"auths": {}, "psFormat": "ü"})
    file = place / "config.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert config_file.read_for_change(str(place)) == {"auths": {}, "psFormat": "ü"}
    assert [one.name for one in place.iterdir()] == ["config.json"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, place = tmp_path / "real.json", tmp_path / ".docker"
    target.write_text('{"a": 1}')
    place.mkdir()
    (place / "config.json").symlink_to(target)
    config_file.write(str(place), {"a": 2})
    assert json.loads(target.read_text()) == {"a": 2}
    assert (place / "config.json").is_symlink()


def test_what_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": ')
    with pytest.raises(Exit):
        config_file.read_for_change(str(tmp_path))
