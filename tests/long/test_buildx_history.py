"""The history, the cache's usage and builders, with the real buildx."""

import json
import re
from pathlib import Path

import pytest

from tests.daemons import Sampan
from tests.long.buildx import Buildx, ok
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")


@pytest.fixture(scope="module")
def buildx(engine: Sampan, tmp_path_factory: pytest.TempPathFactory) -> Buildx:
    """With a build that went well and one that did not."""
    home = tmp_path_factory.mktemp("history")
    made = Buildx(engine, home / "docker")
    for name, command in (("good", "echo said"), ("bad", "echo before; exit 9")):
        (home / name).mkdir()
        (home / name / "Dockerfile").write_text(f"FROM busybox\nRUN {command}\n")
        assert (made("build", "--build-arg", f"WORD={name}", str(home / name)).code == 0) == (name == "good")
    return made


def listed(buildx: Buildx, *words: str) -> list[dict[str, str]]:
    """What `history ls` tells of each build."""
    said = ok(buildx("buildx", "history", "ls", "--format", "{{json .}}", *words))
    return [json.loads(line) for line in said.splitlines()]


def test_filters(buildx: Buildx) -> None:
    assert {one["name"] for one in listed(buildx)} == {"good", "bad"}
    assert [one["name"] for one in listed(buildx, "--filter", "status=error")] == ["bad"]
    assert [one["name"] for one in listed(buildx, "--filter", "status=completed")] == ["good"]
    assert len(listed(buildx, "--filter", "status!=running")) == 2
    assert len(listed(buildx, "--filter", "startedAt>1h")) == 2
    assert listed(buildx, "--filter", "startedAt<1h") == []
    assert listed(buildx, "--filter", "duration>1h") == []
    assert len(listed(buildx, "--filter", "duration<1h", "--filter", "completedAt>2020-01-01T00:00:00Z")) == 2
    ref = listed(buildx, "--filter", "status=error")[0]["ref"].rpartition("/")[2]
    assert [one["name"] for one in listed(buildx, "--filter", f"ref={ref}")] == ["bad"]
    assert listed(buildx, "--filter", "repository=https://example.com/x.git") == []


def test_logs_and_records(buildx: Buildx) -> None:
    good, bad = (listed(buildx, "--filter", f"status={word}")[0]["ref"] for word in ("completed", "error"))
    assert "said" in ok(buildx("buildx", "history", "logs", good.rpartition("/")[2]))
    told = ok(buildx("buildx", "history", "inspect", good.rpartition("/")[2]))
    assert re.search(r"Dockerfile:\s+Dockerfile", told)
    assert "WORD" in told
    failed = json.loads(ok(buildx("buildx", "history", "inspect", "--format", "json", bad.rpartition("/")[2])))
    assert failed["Status"] == "failed"
    assert failed["Error"]["Code"] == 2
    assert "exit code: 9" in failed["Error"]["Message"]
    whole = ok(buildx("buildx", "history", "inspect", bad.rpartition("/")[2]))
    assert re.search(r">>> RUN echo before; exit 9", whole)
    traced = buildx("buildx", "history", "trace", good.rpartition("/")[2])
    assert traced.code != 0
    exported = buildx("buildx", "history", "export", "-o", "/dev/null", good.rpartition("/")[2])
    assert exported.code == 0, exported


def test_records_go(buildx: Buildx, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN true\n")
    ok(buildx("build", str(tmp_path)))
    newest = listed(buildx)[0]["ref"].rpartition("/")[2]
    before = len(listed(buildx))
    ok(buildx("buildx", "history", "rm", newest))
    assert len(listed(buildx)) == before - 1
    assert buildx("buildx", "history", "rm", newest).code != 0
    assert "no record found" in buildx("buildx", "history", "inspect", newest).err.decode()


def test_usage_and_pruning(buildx: Buildx, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN --mount=type=cache,target=/c echo kept > /c/f\nRUN echo pruned > /pruned\n"
    )
    # Without an image, whose layers would be shared with it.
    ok(buildx("build", "-o", "type=cacheonly", str(tmp_path)))
    told = ok(buildx("buildx", "du", "--verbose"))
    assert re.search(r"Type:\s+exec.cachemount", told)
    assert "Description:" in told
    kinds = ok(buildx("buildx", "du", "--verbose", "--filter", "type=exec.cachemount"))
    assert set(re.findall(r"Type:\s+(\S+)", kinds)) == {"exec.cachemount"}
    shared = ok(buildx("buildx", "du", "--verbose", "--filter", "description~=pruned"))
    assert len(re.findall(r"^ID:", shared, re.MULTILINE)) == 1
    assert buildx("buildx", "du", "--filter", "nothing=1").code != 0
    ok(buildx("buildx", "prune", "-f", "--filter", "type=exec.cachemount"))
    assert "exec.cachemount" not in ok(buildx("buildx", "du", "--verbose"))
    assert "pruned" in ok(buildx("buildx", "du", "--verbose"))
    ok(buildx("buildx", "prune", "-f", "--filter", "until=100h"))
    assert "pruned" in ok(buildx("buildx", "du", "--verbose"))
    ok(buildx("buildx", "prune", "-af", "--max-used-space", "100gb"))
    assert "pruned" in ok(buildx("buildx", "du", "--verbose"))
    ok(buildx("buildx", "prune", "-af", "--max-used-space", "1"))
    assert "pruned" not in ok(buildx("buildx", "du", "--verbose"))


def test_builders(buildx: Buildx) -> None:
    told = ok(buildx("buildx", "inspect"))
    assert re.search(r"Driver: +docker\b", told)
    assert "linux/amd64" in told
    assert "default" in ok(buildx("buildx", "ls"))
    # A builder in a container of its own needs the image moby/buildkit from a registry; to make its entry needs nothing.
    ok(buildx("buildx", "create", "--name", "apart", "--driver", "docker-container"))
    assert "apart" in ok(buildx("buildx", "ls"))
    ok(buildx("buildx", "rm", "apart"))
