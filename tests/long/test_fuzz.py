"""Every operation of the published schema, asked in ways that are nearly right: no 500, no hang, no lost connection.

FUZZ_EXAMPLES sets how many requests each operation gets (60). What a run finds is printed as a request that can be repeated.
"""

import http.client
import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.daemons import Answer, Sampan, running_sampan
from tests.long.generating import Call, Generator, Pools
from tests.requires import requires
from tests.schema import published

pytestmark = requires("root", "overlay", "netns", "bridge", "docker-client", "busybox")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SECONDS = 20
DOCKERS_OWN = (
    *("failed to create task for container", "strconv.Atoi", "OCI runtime exec failed", "unable to find "),
    *(
        "failed to join",
        "no upgrade proto in request",
        "is not paused",
        "cannot remove the default link name",
        ": dial tcp: ",
    ),
)
"""What Docker answers with 500 and says so: programs, users and registries that are not there, numbers that are none."""
ENDLESS = {"GET /events", "GET /containers/{id}/stats", "GET /containers/{id}/logs", "POST /containers/{id}/wait"}
HIJACKED = {"POST /containers/{id}/attach", "GET /containers/{id}/attach/ws", "POST /exec/{id}/start", "POST /session"}


def operations() -> dict[str, tuple[str, str]]:
    if not published.FILE.exists():
        return {}
    paths = published.document()["paths"]
    return {
        f"{method.upper()} {path}": (method, path)
        for path, item in paths.items()
        for method in item
        if method in published.METHODS
    }


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[Sampan, Generator]]:
    if not published.FILE.exists():
        pytest.skip(f"no {published.FILE.name} beside the project: there is nothing to make requests of")
    with running_sampan() as engine:
        engine.load_busybox()
        (engine.directory / "inside").mkdir()
        assert engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "100000").code == 0
        assert engine.docker("create", "--name", "made", "busybox").code == 0
        assert engine.docker("volume", "create", "vol").code == 0
        exec_ = engine.api("POST", "/containers/box/exec", {"Cmd": ["sleep", "1000"]}).json()
        assert isinstance(exec_, dict)
        pools = Pools(
            str(engine.directory), ("box", "made"), ("busybox", "busybox:latest", "host"), ("vol",), (exec_["Id"],)
        )
        yield engine, Generator(published.document(), pools)


@pytest.mark.parametrize("name", operations())
def test_operation(fuzzed: tuple[Sampan, Generator], name: str) -> None:
    engine, generator = fuzzed
    method, path = operations()[name]
    calls = generator.calls(method.upper(), path, published.document()["paths"][path][method])
    seconds = 0.3 if name in ENDLESS | HIJACKED else SECONDS

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(call=calls, then=st.sampled_from(("start", "keep")))
    def asked(call: Call, then: str) -> None:
        check(engine, call, ask(engine, call, seconds), may_last=name in ENDLESS | HIJACKED)
        _follow_up(engine, name, then)

    try:
        asked()
    finally:
        _as_before(engine)
    assert _surprises(engine) == []


def _surprises(engine: Sampan) -> list[str]:
    """Tracebacks in the daemon's log that end in anything but a failure that the daemon raised itself."""
    lines = [line for line in engine.log.read_text().splitlines() if "Traceback" in line]
    return [line for line in lines if not re.search(r"\\nsampan\.\S+: (?!.*\\n)", line)]


def ask(engine: Sampan, call: Call, seconds: float) -> Answer | None:
    """The answer; None where it goes on for longer than that."""
    try:
        headers = {"Content-Type": "application/json"} if isinstance(call.body, bytes) else {}
        return engine.api(call.method, call.path, call.body, timeout=seconds, headers=headers)
    except TimeoutError:
        return None


def check(engine: Sampan, call: Call, answer: Answer | None, may_last: bool) -> None:
    if answer is None:
        assert may_last, f"no answer in {SECONDS} s to {call}"
        return
    if answer.status == 500:
        assert any(words in answer.body.decode() for words in DOCKERS_OWN), f"{answer.body!r} to {call}"
    assert engine.process is not None
    assert engine.process.poll() is None, f"the daemon ended over {call}"


def _follow_up(engine: Sampan, name: str, then: str) -> None:
    """What a create made is started now and then, and removed."""
    if name != "POST /containers/create":
        return
    for made in _others(engine):
        if then == "start":
            call = Call("POST", f"/containers/{made}/start")
            check(engine, call, ask(engine, call, SECONDS), may_last=False)
        removed = engine.api("DELETE", f"/containers/{made}?force=1&v=1")
        assert removed.status in (204, 404, 409), removed


def _others(engine: Sampan) -> list[str]:
    listed = engine.api("GET", "/containers/json?all=1").json()
    assert isinstance(listed, list)
    return [one["Id"] for one in listed if not {"/box", "/made"} & set(one["Names"])]


def _as_before(engine: Sampan) -> None:
    """The next operation finds what the pools name, whatever this one did to it."""
    for made in _others(engine):
        engine.api("DELETE", f"/containers/{made}?force=1&v=1")
    if engine.api("GET", "/images/busybox/json").status != 200:
        engine.load_busybox()
    engine.docker("run", "-d", "--name", "box", "busybox", "sleep", "100000")
    engine.docker("start", "box")
    engine.docker("unpause", "box")
    engine.docker("create", "--name", "made", "busybox")
    engine.docker("volume", "create", "vol")
    try:
        assert engine.api("GET", "/_ping").status == 200
    except http.client.HTTPException as error:
        raise AssertionError(f"the daemon no longer answers:\n{engine.log_tail()}") from error
