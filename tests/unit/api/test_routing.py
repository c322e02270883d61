"""Paths find their routes, names with slashes included; every route of the schema is answered."""

import json
import re
from pathlib import Path

import pytest

from sampan.api.routing import Router, Support
from sampan.api.table import ROUTES
from sampan.api.versions import parse_version, split_version
from sampan.errors import InvalidParameter

ROUTER = Router(ROUTES)
SCHEMA = json.loads((Path(__file__).parents[1] / "spec" / "schema-1.51.json").read_text())


@pytest.mark.parametrize(
    ("method", "path", "template", "name"),
    [
        ("GET", "/containers/json", "/containers/json", ""),
        ("GET", "/containers/json/json", "/containers/{name}/json", "json"),
        ("GET", "/containers/a/b/json", "/containers/{name}/json", "a/b"),
        ("GET", "/containers/a/attach/ws", "/containers/{name}/attach/ws", "a"),
        ("GET", "/containers/a/sampan/steps", "/containers/{name}/sampan/steps", "a"),
        ("DELETE", "/containers/a", "/containers/{name}", "a"),
        ("DELETE", "/containers/a/b", "/containers/{name}", "a/b"),
        ("DELETE", "/containers/a/b/c", "/containers/{name}", "a/b/c"),
        ("DELETE", "/containers/a/checkpoints/c", "/containers/{name}/checkpoints/{checkpoint}", "a/checkpoints/c"),
        ("DELETE", "/containers/a/b/checkpoints/c", "/containers/{name}/checkpoints/{checkpoint}", "a/b/checkpoints/c"),
        ("DELETE", "/containers/checkpoints/c", "/containers/{name}", "checkpoints/c"),
        ("POST", "/containers/create", "/containers/create", ""),
        ("POST", "/containers/create/start", "/containers/{name}/start", "create"),
        ("GET", "/images/r.example:5000/a/b:1/json", "/images/{name}/json", "r.example:5000/a/b:1"),
        ("GET", "/images/json/json", "/images/{name}/json", "json"),
        ("GET", "/images/get", "/images/get", ""),
        ("GET", "/images/a/b/get", "/images/{name}/get", "a/b"),
        ("DELETE", "/images/a/b@sha256:cd", "/images/{name}", "a/b@sha256:cd"),
        ("DELETE", "/images/", "/images/{name}", ""),
        ("GET", "/networks/", "/networks/{name}", ""),
        ("GET", "/volumes/data", "/volumes/{name}", "data"),
        ("HEAD", "/_ping", "/_ping", ""),
        ("POST", "/exec/e/start", "/exec/{name}/start", "e"),
        ("GET", "/distribution/a/b/json", "/distribution/{name}/json", "a/b"),
    ],
)
def test_found(method: str, path: str, template: str, name: str) -> None:
    found = ROUTER.find(method, path)
    assert found is not None
    assert (found[0].path, found[0].method, found[1]) == (template, method, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/nope"),
        ("GET", "/containers"),
        ("GET", "/containers/"),
        ("GET", "/containers/a"),
        ("GET", "/containers/a/b/c/d"),
        ("PATCH", "/containers/json"),
        ("POST", "/_ping"),
        ("GET", "/images/a"),
        ("get", "/info"),
    ],
)
def test_not_found(method: str, path: str) -> None:
    assert ROUTER.find(method, path) is None


def test_no_two_routes_are_the_same() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))


def test_every_route_of_the_schema_is_answered() -> None:
    mine = {(route.method, route.path) for route in ROUTES}
    schema = {
        (method, re.sub(r"\{(id|name)\}", "{name}", path))
        for path, methods in SCHEMA["paths"].items()
        for method in methods
    }
    assert schema - mine == set()
    # Docker's own, which its schema leaves out.
    checkpoints = "/containers/{name}/checkpoints"
    unpublished = {("POST", "/grpc"), ("GET", checkpoints), ("POST", checkpoints)}
    unpublished.add(("DELETE", f"{checkpoints}/{{checkpoint}}"))
    assert {key for key in mine - schema if "sampan" not in key[1]} == unpublished


def test_what_is_not_there_says_what_it_is() -> None:
    for route in ROUTES:
        assert route.note or route.support in (Support.FULL, Support.SWARM), f"{route.method} {route.path} needs a note"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.41/info", ("1.41", "/info")),
        ("/info", (None, "/info")),
        ("/v1.41/", ("1.41", "/")),
        ("/v1.41", (None, "/v1.41")),
        ("/version", (None, "/version")),
        ("/v/info", (None, "/v/info")),
        ("/vx/info", (None, "/vx/info")),
        ("/volumes/v1.2/x", (None, "/volumes/v1.2/x")),
        ("/v1.41/v1.42/info", ("1.41", "/v1.42/info")),
    ],
)
def test_versions_in_paths(path: str, expected: tuple[str | None, str]) -> None:
    assert split_version(path) == expected


def test_versions() -> None:
    assert parse_version("1.24") == (1, 24)
    assert parse_version("1.51") == (1, 51)
    assert parse_version(None) == (1, 51)
    for number in ("1.23", "1", "0.9", "1.0.5"):
        with pytest.raises(
            InvalidParameter, match=f"^client version {number} is too old. Minimum supported API version is 1.24,"
        ):
            parse_version(number)
    for number in ("1.52", "2.0", "1.51.1", "99999999999999999999"):
        with pytest.raises(InvalidParameter, match=r"is too new. Maximum supported API version is 1.51$"):
            parse_version(number)
