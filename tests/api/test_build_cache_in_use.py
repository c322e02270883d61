"""The build cache while a build runs: what the build found is not pruned under it."""

import threading

from tests.api.building import Built, build
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox")

KEPT = "FROM busybox\nRUN echo kept > /kept\n"
SLOW = (
    KEPT + "RUN --mount=type=cache,id=flag,target=/flag touch /flag/began; until [ -e /flag/go ]; do sleep 0.05; done\n"
)


def in_use(engine: Sampan) -> dict[str, bool]:
    usage = engine.api("GET", "/system/df?type=build-cache").json()
    assert isinstance(usage, dict)
    return {item["Description"]: item["InUse"] for item in usage["BuildCache"]}


def test_what_a_build_found_stays_until_it_ends(engine: Sampan) -> None:
    assert not build(engine, KEPT).error
    found: list[Built] = []
    running = threading.Thread(target=lambda: found.append(build(engine, SLOW, t="slow")))
    running.start()
    directories = engine.data_root / "build" / "mounts"
    eventually(lambda: any(directories.glob("*/began")))
    try:
        told = in_use(engine)
        assert told["RUN echo kept > /kept"]
        assert told["cache mount flag"]
        answer = engine.api("POST", "/build/prune?all=1").json()
        assert isinstance(answer, dict)
        left = in_use(engine)
        assert left["RUN echo kept > /kept"]
        assert left["cache mount flag"]
        refused = engine.sampan("builder", "mount-import", "flag", stdin=b"\0" * 1024)
        assert "in use by a build" in refused.err.decode()
    finally:
        (path,) = directories.glob("*/began")
        (path.parent / "go").touch()
        running.join()
    assert not found[0].error, found[0].lines[-1]
    assert not any(in_use(engine).values())
    assert engine.docker("run", "--rm", "--net", "none", "slow", "cat", "/kept").text == "kept"
    assert "Using cache" in build(engine, KEPT).text
    assert engine.api("DELETE", "/images/slow?force=1").status == 200
    assert engine.api("POST", "/build/prune?all=1").status == 200
    assert in_use(engine) == {}
