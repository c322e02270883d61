"""Bad input, verb by verb: Docker's status and message, and nothing is left of it."""

import pytest

from tests.api.bad_bodies import CREATES, STARTS, WRONG_TYPES, Body
from tests.daemons import Answer, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "docker-client", "busybox")

OTHERS: tuple[tuple[str, str, object, int, str], ...] = (
    (
        "POST",
        "/containers/create?name=a/b",
        {"Image": "busybox"},
        400,
        "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    (
        "POST",
        "/containers/create?name=x",
        {"Image": "busybox"},
        400,
        "Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    ("POST", "/containers/create?platform=a/b/c/d", {"Image": "busybox"}, 400, "a/b/c/d"),
    ("POST", "/containers/create", {"HostConfig": {}}, 400, "config cannot be empty in order to create a container"),
    ("POST", "/containers/create", {}, 400, "config cannot be empty in order to create a container"),
    (
        "POST",
        "/containers/running/start",
        {"Memory": 5},
        400,
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    ),
    ("POST", "/containers/running/start?checkpoint=x", None, 400, "checkpoint is only supported in experimental mode"),
    ("POST", "/containers/running/stop?t=x", None, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("POST", "/containers/running/stop?signal=NOSUCH", None, 400, "invalid signal: NOSUCH"),
    (
        "POST",
        "/containers/running/kill?signal=NOSUCH",
        None,
        400,
        "cannot kill container: running: invalid signal: NOSUCH",
    ),
    ("POST", "/containers/running/kill?signal=-1", None, 400, "cannot kill container: running: invalid signal: -1"),
    ("POST", "/containers/made/kill", None, 409, "cannot kill container: made: container {made} is not running"),
    ("POST", "/containers/running/restart?t=9999999999999999999999", None, 500, "strconv.Atoi"),
    ("POST", "/containers/running/rename", None, 400, "Neither old nor new names may be empty"),
    (
        "POST",
        "/containers/running/rename?name=running",
        None,
        400,
        "Renaming a container with the same name as its current name",
    ),
    ("POST", "/containers/running/rename?name=made", None, 409, "Error when allocating new name: Conflict."),
    (
        "POST",
        "/containers/running/rename?name=a/b",
        None,
        400,
        "Error when allocating new name: Invalid container name (a/b)",
    ),
    ("POST", "/containers/running/resize?h=x&w=1", None, 400, 'invalid resize height "x": invalid syntax'),
    ("POST", "/containers/running/resize?h=1&w=-1", None, 400, 'invalid resize width "-1": value out of range'),
    (
        "POST",
        "/containers/running/resize?h=4294967296&w=1",
        None,
        400,
        'invalid resize height "4294967296": value out of range',
    ),
    ("POST", "/containers/running/wait?condition=x", None, 400, 'invalid condition: "x"'),
    ("GET", "/containers/running/logs", None, 400, "Bad parameters: you must choose at least one stream"),
    ("GET", "/containers/running/logs?stdout=1&since=x", None, 400, "invalid value for"),
    (
        "DELETE",
        "/containers/running",
        None,
        409,
        'cannot remove container "running": container is running: stop the container before removing or force remove',
    ),
    ("GET", "/containers/json?limit=x", None, 500, "strconv.Atoi"),
    ("GET", "/containers/json?filters=x", None, 400, "invalid filter"),
    ("GET", '/containers/json?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    ("GET", '/containers/json?filters={"status":["x"]}', None, 400, "invalid filter 'status=x'"),
    ("GET", '/containers/json?filters={"exited":["x"]}', None, 400, "invalid filter 'exited=x'"),
    ("POST", '/containers/prune?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    ("POST", "/containers/running/exec", {}, 400, "No exec command specified"),
    ("POST", "/containers/running/exec", {"Cmd": "true"}, 400, "invalid JSON: "),
    (
        "POST",
        "/containers/running/exec",
        {"Cmd": ["true"], "WorkingDir": "rel"},
        400,
        "the working directory 'rel' is invalid, it needs to be an absolute path",
    ),
    ("POST", "/containers/running/exec", {"Cmd": ["true"], "Env": ["=x"]}, 400, "invalid environment variable: =x"),
    (
        "POST",
        "/containers/running/exec",
        {"Cmd": ["true"], "DetachKeys": "ctrl-%"},
        400,
        "Invalid escape keys (ctrl-%) provided",
    ),
    ("POST", "/containers/made/exec", {"Cmd": ["true"]}, 409, "container {made} is not running"),
    ("POST", "/containers/nosuch/exec", {"Cmd": ["true"]}, 404, "No such container: nosuch"),
    ("POST", "/exec/nosuch/start", {}, 404, "No such exec instance: nosuch"),
    ("POST", "/exec/nosuch/resize?h=1&w=1", None, 404, "No such exec instance: nosuch"),
    ("GET", "/exec/nosuch/json", None, 404, "No such exec instance: nosuch"),
    ("POST", "/images/busybox/tag", None, 400, "invalid reference format"),
    (
        "POST",
        "/images/busybox/tag?repo=Bad",
        None,
        400,
        "invalid reference format: repository name (library/Bad) must be lowercase",
    ),
    ("POST", "/images/busybox/tag?repo=a&tag=b%20c", None, 400, "invalid"),
    ("POST", "/images/nosuch/tag?repo=a", None, 404, "No such image: nosuch:latest"),
    ("DELETE", "/images/nosuch", None, 404, "No such image: nosuch:latest"),
    ("GET", "/images/nosuch/json", None, 404, "No such image: nosuch:latest"),
    ("GET", "/images/nosuch/history", None, 404, "No such image: nosuch:latest"),
    (
        "GET",
        "/images/busybox/json?manifests=1&platform={%22os%22:%22linux%22,%22architecture%22:%22amd64%22}",
        None,
        400,
        "conflicting options: manifests and platform options cannot both be set",
    ),
    ("GET", '/images/json?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    ("GET", '/images/json?filters={"dangling":["x"]}', None, 400, "invalid filter 'dangling=[x]'"),
    ("POST", '/images/prune?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    (
        "POST",
        "/volumes/create",
        {"Name": "a/b"},
        400,
        'create a/b: "a/b" includes invalid characters for a local volume name',
    ),
    (
        "POST",
        "/volumes/create",
        {"Name": "x"},
        400,
        "volume name is too short, names should be at least two alphanumeric characters",
    ),
    (
        "POST",
        "/volumes/create",
        {"Name": "good", "Driver": "nosuch"},
        404,
        'error looking up volume plugin nosuch: plugin "nosuch" not found',
    ),
    (
        "POST",
        "/volumes/create",
        {"Name": "good", "DriverOpts": {"nosuch": "x"}},
        400,
        'create good: invalid option: "nosuch"',
    ),
    ("GET", "/volumes/nosuch", None, 404, "get nosuch: no such volume"),
    ("DELETE", "/volumes/nosuch", None, 404, "get nosuch: no such volume"),
    ("GET", '/volumes?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    ("GET", "/networks/nosuch", None, 404, "network nosuch not found"),
    ("GET", '/networks?filters={"nosuch":["x"]}', None, 400, "invalid filter 'nosuch'"),
    ("GET", "/events?since=x", None, 400, "invalid value for"),
    ("GET", "/events?since=5&until=3", None, 400, "`since` time (5) cannot be after `until` time (3)"),
)


@pytest.fixture(scope="module")
def prepared(engine: Sampan) -> dict[str, str]:
    """One container that runs, one that never did, one to take volumes from; ids by name."""
    ids = {}
    for name, words in (("running", ("run", "-dt")), ("made", ("create",)), ("c1", ("create",))):
        outcome = engine.docker(*words, "--name", name, "busybox", "sleep", "10000")
        assert outcome.code == 0, outcome
        ids[name] = outcome.text
    return ids


def message(answer: Answer) -> str:
    told = answer.json()
    assert isinstance(told, dict)
    return str(told["message"])


def create(engine: Sampan, body: Body) -> Answer:
    whole = {"Image": "busybox", "Cmd": ["true"], **body} if body != {"HostConfig": {}} else body
    return engine.api("POST", "/v1.41/containers/create", whole)


def containers(engine: Sampan) -> int:
    listed = engine.api("GET", "/containers/json?all=1").json()
    assert isinstance(listed, list)
    return len(listed)


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("body", "status", "words"), CREATES, ids=lambda value: repr(value)[:60])
def test_create(engine: Sampan, body: Body, status: int, words: str) -> None:
    before = containers(engine)
    answer = create(engine, body)
    assert (answer.status, message(answer)) == (status, words)
    assert containers(engine) == before


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("body", "status", "words"), STARTS, ids=lambda value: repr(value)[:60])
def test_start(engine: Sampan, body: Body, status: int, words: str) -> None:
    created = create(engine, body).json()
    assert isinstance(created, dict)
    started = engine.api("POST", f"/containers/{created['Id']}/start")
    removed = engine.api("DELETE", f"/containers/{created['Id']}")
    assert (started.status, message(started)) == (status, words)
    assert removed.status == 204


@pytest.mark.parametrize("body", WRONG_TYPES, ids=lambda value: repr(value)[:60])
def test_wrong_type(engine: Sampan, body: Body) -> None:
    answer = create(engine, body)
    assert answer.status == 400
    assert message(answer).startswith("invalid JSON: ")


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), OTHERS)
def test_other(
    engine: Sampan, prepared: dict[str, str], method: str, path: str, body: object, status: int, words: str
) -> None:
    answer = engine.api(method, path.replace('"', "%22").replace("[", "%5B").replace("]", "%5D"), body, timeout=10)
    assert answer.status == status, answer
    assert words.format(**prepared) in message(answer)
