"""Logins, searches and the look at a registry, by the API and docker's own commands, against docker-registry."""

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.spec import oci_image as oci
from tests.api.test_registry_client import push
from tests.daemons import Sampan, running_sampan
from tests.registries import Handler, Registry, running_registry, scripted_registry
from tests.requires import requires

pytestmark = requires("root", "docker-registry", "htpasswd")

USERS = {"me": "secret:with:colons"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry"), users=USERS) as running:
        registries = RemoteRegistries(Settings())
        push(registries, running.address, "team/app", Credentials("me", USERS["me"]))
        registries.close()
        yield running


def auth_header(**members: str) -> dict[str, str]:
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(members).encode()).decode()}


class TestLogin:
    def test_right_and_wrong(self, engine: Sampan, registry: Registry) -> None:
        body = {"username": "me", "password": USERS["me"], "serveraddress": registry.address}
        answer = engine.api("POST", "/auth", body)
        assert (answer.status, answer.json()) == (200, {"Status": "Login Succeeded", "IdentityToken": ""})
        answer = engine.api("POST", "/auth", {**body, "password": "wrong"})
        text = f"login attempt to http://{registry.address}/v2/ failed with status: 401 Unauthorized"
        assert (answer.status, answer.json()) == (500, {"message": text})

    def test_without_a_name(self, engine: Sampan, registry: Registry) -> None:
        answer = engine.api("POST", "/auth", {"serveraddress": registry.address})
        assert answer.status == 500
        assert answer.json() == {"message": f'Get "http://{registry.address}/v2/": no basic auth credentials'}

    def test_a_token_service_that_knows_better(self, engine: Sampan) -> None:
        def behave(request: Handler) -> None:
            if request.path.startswith("/token"):
                request.answer(401, b'{"details":"incorrect username or password"}')
                return
            realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="s"'
            request.error(401, "UNAUTHORIZED", WWW_Authenticate=realm)

        with scripted_registry(behave) as scripted:
            body = {"username": "me", "password": "x", "serveraddress": scripted.address}
            answer = engine.api("POST", "/auth", body)
            text = f'Get "http://{scripted.address}/v2/": unauthorized: incorrect username or password'
            assert (answer.status, answer.json()) == (401, {"message": text})

    @pytest.mark.parametrize("address", ["http://[::1", "r.example:99999999", "user@r.example"])
    def test_no_address(self, engine: Sampan, address: str) -> None:
        answer = engine.api("POST", "/auth", {"username": "me", "password": "x", "serveraddress": address})
        assert answer.status == 400
        assert "unable to parse server address" in str(answer.json())


class TestDistribution:
    def test_what_a_tag_stands_for(self, engine: Sampan, registry: Registry) -> None:
        header = auth_header(username="me", password=USERS["me"])
        answer = engine.api("GET", f"/distribution/{registry.address}/team/app/json", headers=header)
        found = answer.json()
        assert isinstance(found, dict)
        assert answer.status == 200
        assert found["Descriptor"]["mediaType"] == oci.OCI_MANIFEST
        assert found["Platforms"] == [{"architecture": "amd64", "os": "linux"}]

    def test_unknown_and_unauthorized(self, engine: Sampan, registry: Registry) -> None:
        path = f"/distribution/{registry.address}/team/app:none/json"
        answer = engine.api("GET", path, headers=auth_header(username="me", password=USERS["me"]))
        assert (answer.status, answer.json()) == (404, {"message": "manifest unknown: manifest unknown"})
        answer = engine.api("GET", path, headers=auth_header(username="me", password="wrong"))
        assert (answer.status, answer.json()) == (401, {"message": "unauthorized: authentication required"})

    def test_nonsense_is_the_registry_s_fault(self, engine: Sampan) -> None:
        with scripted_registry(lambda one: one.answer(200, b"garbage", Content_Type=oci.OCI_MANIFEST)) as scripted:
            answer = engine.api("GET", f"/distribution/{scripted.address}/a/json")
        assert answer.status == 500
        assert "the manifest is malformed" in str(answer.json())


class TestSearch:
    def test_filters(self, engine: Sampan) -> None:
        asked = []

        def behave(request: Handler) -> None:
            asked.append(request.path)
            results = [
                {"name": "a", "description": "d", "is_official": True, "is_automated": True, "star_count": 5},
                {"name": "b", "description": None, "is_official": False, "star_count": 1},
            ]
            request.answer(200, json.dumps({"results": results}).encode())

        with scripted_registry(behave) as scripted:
            term = f"{scripted.address}/busy box"
            found = engine.api("GET", f"/images/search?term={term.replace(' ', '%20')}&limit=7").json()
            first = {"star_count": 5, "is_official": True, "name": "a", "is_automated": False, "description": "d"}
            second = {"star_count": 1, "is_official": False, "name": "b", "is_automated": False, "description": ""}
            assert found == [first, second]
            assert asked[-1] == "/v1/search?q=busy+box&n=7"
            query = f"/images/search?term={scripted.address}/x&filters="
            for filters, names in (
                ({"is-official": ["true"]}, ["a"]),
                ({"is-official": ["false"]}, ["b"]),
                ({"stars": ["2", "1"]}, ["a"]),
                ({"is-automated": ["true"]}, []),
            ):
                rows = engine.api("GET", query + json.dumps(filters).replace(" ", "")).json()
                assert isinstance(rows, list)
                assert [one["name"] for one in rows] == names

    def test_nobody_there(self, engine: Sampan) -> None:
        refused = "dial tcp 127.0.0.1:1: connect: connection refused"
        attempts = [
            f'{word} attempt: Get "{word.lower()}://127.0.0.1:1/v1/_ping": {refused}' for word in ("HTTPS", "HTTP")
        ]
        answer = engine.api("GET", "/images/search?term=127.0.0.1:1/x")
        text = f'invalid registry endpoint "http://127.0.0.1:1/v1/". {". ".join(attempts)}'
        assert (answer.status, answer.json()) == (400, {"message": text})

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("term=x&limit=101", "limit 101 is outside the range of [1, 100]"),
            ("term=x&limit=many", 'invalid limit specified: strconv.Atoi: parsing "many": invalid syntax'),
            ("term=x&filters={%22what%22:[%221%22]}", "invalid filter 'what'"),
            ("term=https://x", "invalid repository name: repository name (https://x) should not have a scheme"),
        ],
    )
    def test_refused(self, engine: Sampan, query: str, text: str) -> None:
        answer = engine.api("GET", f"/images/search?{query}")
        assert (answer.status, answer.json()) == (400, {"message": text})


@requires("docker-client")
class TestDocker:
    def test_login_and_logout(self, engine: Sampan, registry: Registry, tmp_path: Path) -> None:
        home = {"HOME": str(tmp_path)}
        words = ("login", "-u", "me", "--password-stdin", registry.address)
        done = engine.docker(*words, stdin=USERS["me"].encode(), env=home)
        assert (done.code, done.text) == (0, "Login Succeeded")
        file = tmp_path / ".docker/config.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list(json.loads(file.read_text())["auths"]) == [registry.address]
        assert engine.docker("logout", registry.address, env=home).code == 0
        wrong = engine.docker(*words, stdin=b"wrong", env=home)
        assert wrong.code == 1
        assert b"failed with status: 401 Unauthorized" in wrong.err

    def test_search(self, engine: Sampan) -> None:
        def behave(request: Handler) -> None:
            row = {"name": "found/it", "description": "what it is", "is_official": True, "star_count": 3}
            request.answer(200, json.dumps({"results": [row]}).encode())

        with scripted_registry(behave) as scripted:
            done = engine.docker("search", f"{scripted.address}/it")
        assert done.code == 0
        assert done.text.splitlines()[1].split() == ["found/it", "what", "it", "is", "3", "[OK]"]


def test_info_shows_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    proxies = {
        "http-proxy": "http://user:secret@p.example:1",
        "https-proxy": "http://q.example:2",
        "no-proxy": "x.example",
    }
    settings = {"registry-mirrors": ["https://m.example"], "insecure-registries": ["i.example:5000", "10.0.0.0/8"]}
    config.write_text(json.dumps({**settings, "proxies": proxies}))
    with running_sampan("--config-file", str(config)) as daemon:
        info = daemon.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert info["HttpProxy"] == "http://xxxxx:xxxxx@p.example:1"
    assert (info["HttpsProxy"], info["NoProxy"]) == ("http://q.example:2", "x.example")
    known = info["RegistryConfig"]
    assert known["Mirrors"] == ["https://m.example/"]
    assert known["InsecureRegistryCIDRs"] == ["10.0.0.0/8", "::1/128", "127.0.0.0/8"]
    assert sorted(known["IndexConfigs"]) == ["docker.io", "i.example:5000"]
    assert not known["IndexConfigs"]["i.example:5000"]["Secure"]
