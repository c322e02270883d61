"""The corpus and who builds it: Sampan, Docker's classic builder and its BuildKit, of two releases."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.archives import PATH, busybox_rootfs, docker_archive
from tests.daemons import PROJECT, Daemon, Sampan, entry_point, running_docker, running_sampan
from tests.long.newest import running_newest_docker
from tests.long.wild.trees import Image, read_image

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.dockerfile"))
_DEBIAN = PROJECT / ".build" / "wild-debian.tar"
_LEFT_OUT = ("doc", "man", "locale", "info")
_OLD_CLIENT = "/usr/bin/docker"
"""Debian 12's, which speaks BuildKit's protocol without a plugin."""
_SECONDS = 300
ABILITIES = {
    "classic": frozenset[str](),
    "buildkit-20.10": frozenset({"buildkit"}),
    "buildkit-28": frozenset({"buildkit", "heredocs", "exclude"}),
}
"""Witness → what of `# needs: …` it has."""


@dataclass(frozen=True)
class Case:
    """A Dockerfile of the corpus: `arguments` of the command, `needs`: what a builder must be able to."""

    name: str
    arguments: tuple[str, ...]
    needs: str

    @property
    def path(self) -> Path:
        return HERE / f"{self.name}.dockerfile"


@cache
def case(name: str) -> Case:
    """The case, with what its comments ask for."""
    text = (HERE / f"{name}.dockerfile").read_text()
    asked = dict(re.findall(r"^# (build|needs): (.*)$", text, re.MULTILINE))
    return Case(name, tuple(shlex.split(asked.get("build", ""))), asked.get("needs", ""))


@cache
def debian() -> bytes:
    """A small Debian with python3 and a C compiler, made once with mmdebstrap."""
    if not _DEBIAN.exists():
        partial = _DEBIAN.with_suffix(".new.tar")
        leave_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
        command = ["mmdebstrap", "--variant=minbase", "--include=python3,tcc,libc6-dev", *leave_out, "bookworm"]
        subprocess.run([*command, str(partial)], check=True, capture_output=True, timeout=900)
        partial.rename(_DEBIAN)
    return _DEBIAN.read_bytes()


def bases() -> Iterator[bytes]:
    """The archives of the images that the corpus stands on."""
    yield docker_archive("busybox:latest", [busybox_rootfs()], {"Cmd": ["sh"], "Env": [PATH]})
    yield docker_archive("debian:12", [debian()], {"Cmd": ["bash"], "Env": [PATH]})
    triggers = ["ARG WHO=you", "WORKDIR /onbuild", 'RUN echo "$WHO" > who', "COPY app/main.py .", "USER 33"]
    config = {"Cmd": ["sh"], "Env": [PATH, "BASE=here"], "OnBuild": triggers}
    yield docker_archive("busybox-onbuild:latest", [busybox_rootfs()], config)


class Witness:
    """A builder. `build` gives the image, or in words why there is none."""

    def __init__(self, name: str, engine: Daemon, client: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.engine = engine
        self._client = client
        self._environment = environment

    def build(self, one: Case, context: Path, secret: Path) -> Image | str:
        tag = f"wild-{self.name}:{one.name}"
        arguments = [word.replace("SECRET", str(secret)) for word in one.arguments]
        words = ["build", *arguments, "-t", tag, "-f", str(one.path), str(context)]
        built = self.engine._execute([*self._client, *words], b"", _SECONDS, self._environment)
        if built.code != 0:
            return (built.err + built.out).decode(errors="replace").strip()
        # What is measured against is Docker's command and not this one's.
        saved = self.engine._execute([_OLD_CLIENT, "save", tag], b"", _SECONDS, None)
        assert saved.code == 0, saved
        return read_image(saved.out)


@contextmanager
def docker_witnesses() -> Iterator[dict[str, Witness]]:
    """Docker's builders, their bases loaded."""
    with ExitStack() as stack:
        old, new = stack.enter_context(running_docker()), stack.enter_context(running_newest_docker())
        for engine in (old, new):
            load(engine)
        classic = Witness("classic", old, [_OLD_CLIENT], {"DOCKER_BUILDKIT": "0"})
        kit = {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        witnesses = [
            classic,
            Witness("buildkit-20.10", old, [_OLD_CLIENT], kit),
            Witness("buildkit-28", new, [_OLD_CLIENT], kit),
        ]
        yield {witness.name: witness for witness in witnesses}


@contextmanager
def sampan_witness() -> Iterator[Witness]:
    """This tree's."""
    with running_sampan() as sampan:
        load(sampan)
        yield ours(sampan)


def ours(sampan: Sampan) -> Witness:
    """Sampan's own command against its daemon."""
    return Witness("sampan", sampan, entry_point("sampan"), {"BUILDKIT_PROGRESS": "plain"})


def load(engine: Daemon) -> None:
    """Give an engine the bases."""
    for archive in bases():
        answer = engine.api("POST", "/images/load", archive, timeout=_SECONDS)
        assert answer.status == 200, answer
