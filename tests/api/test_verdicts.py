"""What the table of verdicts says is refused is refused, by name; nothing of it is created."""

import pytest

from sampan.daemon.verdicts import CONFIG, ENDPOINT, HOST_CONFIG, MOUNT, Refused, Verdict
from tests.daemons import Answer, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "docker-client", "busybox")

Body = dict[str, object]


def examples(table: dict[str, Verdict]) -> list[tuple[str, Refused]]:
    return [(name, refused) for name, verdict in table.items() for refused in verdict.refused]


def create(engine: Sampan, body: Body) -> Answer:
    return engine.api("POST", "/v1.51/containers/create", {"Image": "busybox", "Cmd": ["true"], **body})


def check(engine: Sampan, body: Body, refused: Refused) -> None:
    answer = create(engine, body)
    made = engine.api("GET", "/containers/json?all=1").json()
    engine.remove_containers()
    assert answer.status in (400, 404, 501) or "--storage-opt" in refused.words, answer
    told = answer.json()
    assert isinstance(told, dict)
    assert refused.words in told["message"]
    assert made == []


@pytest.mark.parametrize(("name", "refused"), examples(CONFIG) + examples(HOST_CONFIG))
def test_config_and_host_config(engine: Sampan, name: str, refused: Refused) -> None:
    members = {name: refused.value, **dict(refused.beside)}
    check(engine, {"HostConfig": members} if name in HOST_CONFIG else members, refused)


@pytest.mark.parametrize(("name", "refused"), examples(ENDPOINT))
def test_endpoint(engine: Sampan, name: str, refused: Refused) -> None:
    check(engine, {"NetworkingConfig": {"EndpointsConfig": {"bridge": {name: refused.value}}}}, refused)


@pytest.mark.parametrize(("name", "refused"), examples(MOUNT))
def test_mount(engine: Sampan, name: str, refused: Refused) -> None:
    mount: Body = {"Target": "/x", **dict(refused.beside)}
    group, dot, member = name.partition(".")
    mount[group] = {member: refused.value} if dot else refused.value
    check(engine, {"HostConfig": {"Mounts": [mount]}}, refused)


def test_a_network_of_ones_own_is_refused_at_the_start(engine: Sampan) -> None:
    created = create(engine, {"HostConfig": {"NetworkMode": "mine"}}).json()
    assert isinstance(created, dict)
    started = engine.api("POST", f"/containers/{created['Id']}/start")
    engine.remove_containers()
    assert started.status == 404
    assert b"network mine not found" in started.body
