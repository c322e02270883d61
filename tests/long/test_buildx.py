"""`docker build` with the real buildx plugin, and `docker compose build`: BuildKit's protocol from end to end."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.api.building import build as classic
from tests.daemons import Sampan, running_sampan
from tests.long.buildx import Buildx, ok, steps
from tests.long.compose import Project
from tests.registries import running_registry
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

MULTI = """
FROM busybox AS one
RUN echo one > /one
FROM busybox AS two
RUN echo two > /two
FROM busybox
ARG WORD=none
LABEL word=$WORD
WORKDIR /work
COPY --from=one /one .
COPY --from=two --chmod=600 /two .
COPY files/ files/
RUN cat one two files/a > all
CMD ["cat", "all"]
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        yield started


@pytest.fixture
def buildx(engine: Sampan, tmp_path: Path) -> Buildx:
    return Buildx(engine, tmp_path / "docker")


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., str]:
    """Makes a directory of files."""

    def make(dockerfile: str, files: Mapping[str, str] | None = None, name: str = "context") -> str:
        place = tmp_path / name
        for path, content in {"Dockerfile": dockerfile, **(files or {})}.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(content)
        return str(place)

    return make


def test_stages_arguments_and_the_cache(engine: Sampan, buildx: Buildx, context: Callable[..., str]) -> None:
    place = context(MULTI, {"files/a": "a\n", "files/b": "b\n", "junk.log": "x", ".dockerignore": "*.log\n"})
    first = buildx("build", "--progress=plain", "--build-arg", "WORD=sea", "-t", "multi", place)
    assert steps(first, "CACHED") == 0
    assert ok(engine.docker("run", "--rm", "multi")) == "one\ntwo\na\n"
    assert (
        ok(engine.docker("inspect", "-f", "{{.Config.Labels.word}} {{.Config.WorkingDir}}", "multi")) == "sea /work\n"
    )
    image = ok(engine.docker("inspect", "-f", "{{.Id}}", "multi"))
    Path(place, "junk.log").write_text("other")
    again = buildx("build", "--progress=plain", "--build-arg", "WORD=sea", "-t", "multi", place)
    assert steps(again, "CACHED") >= 8
    assert ok(engine.docker("inspect", "-f", "{{.Id}}", "multi")) == image
    Path(place, "files/a").write_text("changed\n")
    ok(buildx("build", "--build-arg", "WORD=sea", "-t", "multi", place))
    assert ok(engine.docker("run", "--rm", "multi")) == "one\ntwo\nchanged\n"


def test_the_classic_call_and_buildx_make_the_same_image(
    engine: Sampan, buildx: Buildx, context: Callable[..., str], tmp_path: Path
) -> None:
    files = {"files/a": "a\n"}
    place = context(MULTI, files)
    for path in (Path(place), *Path(place).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    identity = tmp_path / "iid"
    ok(buildx("build", "--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--iidfile", str(identity), place))
    entries = {"files/": "", **files}
    answer = classic(engine, MULTI, entries, buildargs={"SOURCE_DATE_EPOCH": "1000000000"})
    assert answer.image == identity.read_text()


def test_secrets_agents_caches_and_tmpfs(
    engine: Sampan, buildx: Buildx, context: Callable[..., str], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    place = context("""
FROM busybox
RUN --mount=type=secret,id=word test "$(cat /run/secrets/word)" = hush
RUN --mount=type=secret,id=word,env=WORD test "$WORD" = hush
RUN --mount=type=tmpfs,target=/memory echo x > /memory/x
RUN --mount=type=cache,target=/cache echo more >> /cache/log && cp /cache/log /log
RUN test ! -e /run/secrets/word && test ! -e /memory/x
""")
    ok(buildx("build", "--secret", f"id=word,src={secret}", "-t", "mounts", place))
    ok(buildx("build", "--no-cache", "--secret", f"id=word,src={secret}", "-t", "mounts", place))
    assert ok(engine.docker("run", "--rm", "mounts", "cat", "/log")) == "more\nmore\n"
    refused = buildx(
        "build", "--no-cache", context("FROM busybox\nRUN --mount=type=secret,id=gone,required=true true\n", name="b")
    )
    assert refused.code != 0
    assert "gone" in refused.err.decode()


def test_an_ssh_agent_of_the_client(
    engine: Sampan, buildx: Buildx, context: Callable[..., str], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    place = context('FROM busybox\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo $SSH_AUTH_SOCK > /where\n')
    ok(buildx("build", "--ssh", f"default={key}", "-t", "agent", place))
    assert "/" in ok(engine.docker("run", "--rm", "agent", "cat", "/where"))


def test_a_failing_step_tells_place_and_code(buildx: Buildx, context: Callable[..., str]) -> None:
    done = buildx("build", "--progress=plain", context("FROM busybox\nRUN echo before && exit 7\n"))
    text = done.err.decode()
    assert done.code == 1
    assert 'process "/bin/sh -c echo before && exit 7" did not complete successfully: exit code: 7' in text
    assert re.search(r"Dockerfile:2\n-+\n +1 \| +FROM busybox\n +2 \| >>> RUN echo before && exit 7", text)
    assert "before" in text


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FROM busybox\nFOO x\n", "unknown instruction: FOO"),
        ("FROM busybox\nCOPY --from=localhost:1/nobody /a /b\n", "localhost:1"),
        ("FROM busybox\nCOPY missing /x\n", "missing"),
        ("RUN true\n", "no build stage in current context"),
        ("", "cannot be empty"),
    ],
)
def test_bad_dockerfiles(buildx: Buildx, context: Callable[..., str], dockerfile: str, words: str) -> None:
    done = buildx("build", context(dockerfile))
    assert done.code != 0
    assert words in done.err.decode()


def test_checks_targets_and_outline(buildx: Buildx, context: Callable[..., str]) -> None:
    place = context("# tool makes things\nFROM busybox AS tool\nARG V=1\nENV a b\nFROM tool\n")
    checked = buildx("build", "--check", place)
    assert checked.code == 1
    assert "LegacyKeyValueFormat" in checked.out.decode() + checked.err.decode()
    assert "makes things" in ok(buildx("build", "--call=targets", place))
    assert re.search(r"V +1", ok(buildx("build", "--call=outline", place)))
    assert "LegacyKeyValueFormat" in ok(buildx("build", "--progress=plain", place))


def test_cancelling_the_client_ends_the_build(engine: Sampan, buildx: Buildx, context: Callable[..., str]) -> None:
    place = context("FROM busybox\nRUN sleep 3217\n")

    def sleeping() -> bool:
        return any(
            b"sleep\0" + b"3217" in each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline") if each.exists()
        )

    with pytest.raises(subprocess.TimeoutExpired):
        buildx("build", place, timeout=6)
    eventually(lambda: not sleeping(), "the step goes on without its client", 20)
    assert ok(engine.docker("ps", "-aq")) == ""


def test_bake_builds_several_targets(engine: Sampan, buildx: Buildx, context: Callable[..., str]) -> None:
    place = context("FROM busybox AS a\nRUN echo a > /x\nFROM busybox AS b\nRUN echo b > /x\n")
    Path(place, "docker-bake.json").write_text(
        json.dumps(
            {
                "group": {"default": {"targets": ["a", "b"]}},
                "target": {name: {"context": place, "target": name, "tags": [f"bake-{name}"]} for name in "ab"},
            }
        )
    )
    ok(buildx("buildx", "bake", "-f", f"{place}/docker-bake.json"))
    assert [ok(engine.docker("run", "--rm", f"bake-{name}", "cat", "/x")) for name in "ab"] == ["a\n", "b\n"]


def test_named_contexts_and_network(engine: Sampan, buildx: Buildx, context: Callable[..., str]) -> None:
    other = context("", {"note": "from elsewhere\n"}, name="other")
    place = context("FROM busybox\nCOPY --from=more note /note\nRUN --network=none ! ping -c1 -W1 127.0.0.2 || true\n")
    ok(buildx("build", "--build-context", f"more={other}", "-t", "named", place))
    assert ok(engine.docker("run", "--rm", "named", "cat", "/note")) == "from elsewhere\n"


def test_outputs(engine: Sampan, buildx: Buildx, context: Callable[..., str], tmp_path: Path) -> None:
    made = "FROM busybox AS made\nRUN mkdir /d && echo x > /d/x && ln -s x /d/link && chmod 640 /d/x\n"
    place = context(f"{made}FROM scratch\nCOPY --from=made /d /d\n")
    ok(buildx("build", "-o", f"type=local,dest={tmp_path}/local", place))
    assert (tmp_path / "local/d/x").read_text() == "x\n"
    assert (tmp_path / "local/d/x").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "local/d/link").readlink() == Path("x")
    for kind, member in (("tar", "d/x"), ("oci", "oci-layout"), ("docker", "manifest.json")):
        archive = tmp_path / f"{kind}.tar"
        ok(buildx("build", "-o", f"type={kind},dest={archive}", "-t", "kept", place))
        names = subprocess.run(["tar", "-tf", archive], check=True, capture_output=True, text=True).stdout.split()
        assert member in names
    ok(engine.docker("load", "-i", str(tmp_path / "docker.tar")))
    ok(buildx("build", "--load", "-t", "loaded", place))
    assert ok(engine.docker("inspect", "-f", "{{.Id}}", "loaded")) == ok(
        engine.docker("inspect", "-f", "{{.Id}}", "kept")
    )


def test_a_registry_takes_the_image_and_the_cache(
    engine: Sampan, buildx: Buildx, context: Callable[..., str], tmp_path: Path
) -> None:
    with running_registry(tmp_path / "registry") as registry:
        place = context("FROM busybox\nRUN echo far > /far\n")
        cache = f"type=registry,ref={registry.address}/cache"
        ok(buildx("build", "--push", "-t", f"{registry.address}/far:1", "--cache-to", f"{cache},mode=max", place))
        ok(engine.docker("rmi", "-f", f"{registry.address}/far:1"))
        ok(buildx("buildx", "prune", "-af"))
        again = buildx("build", "--progress=plain", "--cache-from", cache, "-t", "near", place)
        assert steps(again, "CACHED") >= 1
        ok(engine.docker("pull", f"{registry.address}/far:1"))
        assert ok(engine.docker("run", "--rm", f"{registry.address}/far:1", "cat", "/far")) == "far\n"


def test_cache_usage_pruning_and_history(buildx: Buildx, context: Callable[..., str]) -> None:
    ok(buildx("build", "-t", "used", context("FROM busybox\nRUN echo used > /used\n")))
    assert "Total:" in ok(buildx("buildx", "du"))
    assert ok(buildx("buildx", "du", "--filter", "type=exec.cachemount")).count("\n") >= 1
    history = ok(buildx("buildx", "history", "ls"))
    assert "Completed" in history
    assert "echo used" in ok(buildx("buildx", "history", "logs"))
    ok(buildx("buildx", "prune", "-af"))
    again = buildx("build", "--progress=plain", "-t", "used", context("FROM busybox\nRUN echo used > /used\n"))
    assert steps(again, "CACHED") <= 2


def test_a_changed_file_alone_is_sent_again(buildx: Buildx, context: Callable[..., str]) -> None:
    files = {f"d{number % 40}/f{number}": "x" * (number % 50) for number in range(4000)}
    place = context("FROM busybox\nCOPY . /all\n", files)
    ok(buildx("build", "-t", "many", place))
    Path(place, "d1/f1").write_text("other")
    began = time.monotonic()
    ok(buildx("build", "-t", "many", place))
    assert time.monotonic() - began < 60


def test_compose_builds_and_runs(engine: Sampan, buildx: Buildx, context: Callable[..., str]) -> None:
    del buildx  # compose has its own BuildKit client
    place = context('FROM busybox\nARG WORD\nRUN echo $WORD > /word\nCMD ["cat", "/word"]\n')
    Path(place, "compose.yaml").write_text(
        "services:\n  word:\n    build:\n      context: .\n      args:\n        WORD: composed\n    image: composed\n"
    )
    project = Project(engine, Path(place))
    ok(project("up", "--build"))
    assert "composed" in ok(project("logs"))
    ok(project("down"))
