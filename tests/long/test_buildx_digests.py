"""The same inputs make the same image, whichever way they come, without the cache: buildx, `DOCKER_BUILDKIT=0`, `sampan build`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.daemons import Sampan, running_sampan
from tests.long.buildx import Buildx, ok
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

EPOCH = "1000000000"
FILES: Mapping[str, str] = {
    "a": "a\n",
    "b": "b\n",
    "sub/c": "c\n",
    "sub/deep/d": "d\n",
    ".dockerignore": "*.log\n",
    "x.log": "x",
}
DOCKERFILES: Mapping[str, str] = {
    "copies": "FROM busybox\nCOPY a b /files/\nCOPY sub /sub\n",
    "patterns": "FROM busybox\nCOPY --chmod=700 ? /one/\nADD sub/*/d /two/\n",
    "scratch": "FROM scratch\nCOPY --chown=3:4 a /a\nLABEL one=1 two=2\n",
    "runs": "FROM busybox\nRUN echo one > /one\nRUN rm /one && mkdir /two && ln -s two /three\n",
    "stages": "FROM busybox AS below\nRUN echo x > /x\nFROM busybox\nCOPY --from=below /x /y\nCOPY --from=busybox /bin/sh /z\n",
    "configuration": (
        "FROM busybox\nENV A=1 B=2\nUSER 7:8\nWORKDIR /made/here\nEXPOSE 80/tcp 90/udp\nVOLUME /data\nSTOPSIGNAL SIGUSR1\n"
        'HEALTHCHECK --interval=5s CMD true\nENTRYPOINT ["cat"]\nCMD ["x"]\nSHELL ["/bin/sh", "-ec"]\nONBUILD RUN true\n'
    ),
    "arguments": (
        "ARG TAG=latest\nFROM busybox:$TAG\nARG WORD=none\nARG TARGETARCH\nRUN echo $WORD $TARGETARCH > /word\n"
        "LABEL word=$WORD\n"
    ),
    "documents": "FROM busybox\nRUN <<END\necho one > /one\necho two >> /one\nEND\nCOPY <<END /file\nwhat $HOME is\nEND\n",
    "mounts": (
        "FROM busybox\nRUN --mount=type=bind,source=sub,target=/sub cat /sub/c > /c\n"
        "RUN --mount=type=tmpfs,target=/memory echo y > /memory/y && cp /memory/y /y\n"
    ),
    "ignored": "FROM busybox\nCOPY . /all\n",
    "exclusion": "FROM busybox\nCOPY --exclude=*/deep --parents sub /kept/\n",
    "permissions": "FROM busybox\nCOPY --chmod=4755 a /setuid\nRUN chmod 1777 /tmp; touch /new; chown 5:6 /new\n",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        yield started


@pytest.mark.parametrize("name", list(DOCKERFILES))
def test_one_image_by_three_ways(engine: Sampan, tmp_path: Path, name: str) -> None:
    place = tmp_path / "context"
    for path, content in {**FILES, "Dockerfile": DOCKERFILES[name]}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(content)
    for found in place.rglob("*"):
        found.chmod(0o755 if found.is_dir() else 0o644)
    buildx = Buildx(engine, tmp_path / "docker")
    words = ("--no-cache", "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--build-arg", "WORD=sea", "--iidfile")

    def image(way: str) -> str:
        return (tmp_path / way).read_text().strip()

    ok(buildx("build", *words, str(tmp_path / "buildx"), str(place)))
    ok(buildx("build", *words, str(tmp_path / "classic"), str(place), more={"DOCKER_BUILDKIT": "0"}))
    ok(engine.sampan("build", *words, str(tmp_path / "sampan"), str(place)))
    assert image("buildx") == image("sampan") == image("classic")
