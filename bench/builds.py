"""Builds beside both of Docker's builders: small steps, the same again from the cache, stages at once, a large context again."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.samples import Samples
from tests.daemons import Daemon, entry_point, scrubbed_environment
from tests.long import buildx

STAGES = 4
_WORK = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
"""A second or so of one processor."""


@dataclass(frozen=True)
class Builder:
    """A command and the engine that it builds with. Docker 20.10's own client speaks both of its builders' protocols."""

    name: str
    engine: Daemon
    command: tuple[str, ...]
    buildkit: str = ""
    configuration: str = ""
    """the directory with the client's plugins"""

    def build(self, directory: Path, *options: str) -> float:
        """Seconds that the whole command took."""
        environment = {**scrubbed_environment(), "DOCKER_HOST": self.engine.host, "DOCKER_BUILDKIT": self.buildkit}
        if self.configuration:
            environment |= {"DOCKER_CONFIG": self.configuration, "BUILDX_CONFIG": f"{self.configuration}/buildx"}
        del environment["PYTHONPATH"]
        began = time.perf_counter()
        subprocess.run(
            [*self.command, "build", "-q", *options, str(directory)], check=True, capture_output=True, env=environment
        )
        return time.perf_counter() - began


def builders(sampan: Daemon, docker: Daemon) -> tuple[Builder, Builder, Builder]:
    """Sampan, Docker's classic builder, its BuildKit."""
    debian_client = "/usr/bin/docker"
    client = (debian_client if os.path.exists(debian_client) else "docker",)
    return (
        Builder("sampan", sampan, tuple(entry_point("sampan"))),
        Builder("classic", docker, client, "0"),
        Builder("BuildKit", docker, client, "1"),
    )


@contextmanager
def with_buildx(*engines: Daemon) -> Iterator[tuple[Builder, ...]]:
    """The newest client's `docker build`, which is buildx, with each of these engines."""
    home = Path(tempfile.mkdtemp(prefix="bench-buildx-", dir="/tmp"))
    try:
        made = []
        for number, engine in enumerate(engines):
            plugins = home / str(number) / "cli-plugins"
            plugins.mkdir(parents=True)
            (plugins / "docker-buildx").symlink_to(buildx.program())
            made.append(Builder("buildx", engine, ("docker",), "1", str(home / str(number))))
        yield tuple(made)
    finally:
        shutil.rmtree(home)


@contextmanager
def directory(dockerfile: str) -> Iterator[Path]:
    """A context with that Dockerfile."""
    place = Path(tempfile.mkdtemp(prefix="bench-build-", dir="/tmp"))
    try:
        (place / "Dockerfile").write_text(dockerfile)
        yield place
    finally:
        shutil.rmtree(place)


def ten_steps(builder: Builder, repetitions: int) -> tuple[Samples, Samples]:
    """(ten small RUNs without the cache, the same again from it)."""
    text = "FROM busybox\n" + "".join(f"RUN echo {number} > /{number}\n" for number in range(10))
    with directory(text) as place:
        builder.build(place)
        new = [builder.build(place, "--no-cache") for _ in range(repetitions)]
        again = [builder.build(place) for _ in range(repetitions)]
    return Samples(tuple(new)), Samples(tuple(again))


def stages(builder: Builder, count: int, repetitions: int) -> Samples:
    """That many stages that need nothing of each other, each with work for one processor."""
    # Each says its own number: the same step in several stages would be run once for all, here and by BuildKit.
    made = "".join(f"FROM busybox AS s{number}\nRUN {_WORK}; echo {number} > /done\n" for number in range(count))
    gathered = "".join(f"COPY --from=s{number} /done /done{number}\n" for number in range(count))
    with directory(f"{made}FROM busybox\n{gathered}") as place:
        return Samples(tuple(builder.build(place, "--no-cache") for _ in range(repetitions)))


def changed(builder: Builder, files: int, repetitions: int) -> Samples:
    """A context of that many files again, after one of them changed."""
    with directory("FROM busybox\nCOPY . /src\n") as place:
        _fill(place, files)
        builder.build(place)
        times = []
        for number in range(repetitions):
            (place / "d0" / "f0").write_text(f"changed {number}\n" * 20)
            times.append(builder.build(place))
        return Samples(tuple(times))


def _fill(place: Path, files: int) -> None:
    for number in range(files):
        below = place / f"d{number // 100}"
        below.mkdir(exist_ok=True)
        (below / f"f{number}").write_text(f"file {number}\n" * 20)


def context(builder: Builder, files: int, repetitions: int) -> tuple[Samples, Samples]:
    """(a context of that many files for the first time, the same unchanged one again)."""
    with directory("FROM busybox\nCOPY . /src\n") as place:
        _fill(place, files)
        first = builder.build(place)
        return Samples((first,)), Samples(tuple(builder.build(place) for _ in range(repetitions)))
