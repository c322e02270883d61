"""COPY, ADD and WORKDIR by the BuildKit of Docker 28 and by us: the same tree, or both refuse. Two minutes."""

import io
import os
import re
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.dockerfile.faults import DockerfileError
from sampan.errors import SampanError
from tests.daemons import scrubbed_environment
from tests.kernel.build.planned import build
from tests.long.buildx import program as buildx
from tests.long.copies import CONTEXT, DIFFERENT, DOCUMENTS, SAME
from tests.long.newest import running_newest_docker
from tests.unit.build.tree.archives import packed

pytestmark = pytest.mark.requires("root", "openat2", "dockerd")

Tree = dict[str, tuple[str, int, int, int, bytes | str, float]]
"""Kind, mode, owner, group, content or target, time of a file."""
_RECENT = 600


def written(case: str) -> str:
    lines = case.split(";")
    if not lines[0].startswith("FROM"):
        lines.insert(0, "FROM scratch")
    text = ""
    for line in lines:
        text += line + "\n"
        for name in re.findall(r"<<(\w+)", line):
            text += f"{DOCUMENTS.get(name, name)}\n{name}\n"
    return text


def packed_directory(directory: Path) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(directory, arcname=".")
    out.seek(0)
    return out


def tree_of(directory: Path) -> Tree:
    found: Tree = {}
    for path in directory.rglob("*"):
        status = path.lstat()
        kind = stat.filemode(status.st_mode)[0]
        content: bytes | str = path.read_bytes() if kind == "-" else os.readlink(path) if kind == "l" else ""
        # A file that was just made is of no time in particular.
        moment = 0.0 if kind != "-" or status.st_mtime > time.time() - _RECENT else status.st_mtime
        name = str(path.relative_to(directory))
        found[name] = (kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, content, moment)
    return found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("context")
    subprocess.run(["tar", "-x", "-C", place], input=packed(CONTEXT).getvalue(), check=True)
    return place


@pytest.fixture(scope="module")
def by_buildkit(
    context: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, Path], Tree | None]]:
    settings = tmp_path_factory.mktemp("settings")
    (settings / "cli-plugins").mkdir()
    (settings / "cli-plugins/docker-buildx").symlink_to(buildx())
    with running_newest_docker() as docker:
        environment = {**scrubbed_environment(), "DOCKER_HOST": docker.host, "DOCKER_CONFIG": str(settings)}

        def run(text: str, place: Path) -> Tree | None:
            (place / "Dockerfile").write_text(text)
            line = [
                "docker",
                "buildx",
                "build",
                "--no-cache",
                "-f",
                str(place / "Dockerfile"),
                "--output",
                "type=tar,dest=-",
            ]
            done = subprocess.run([*line, str(context)], env=environment, capture_output=True, timeout=120)
            if done.returncode:
                return None
            (place / "theirs").mkdir()
            subprocess.run(
                ["tar", "-x", "-p", "--numeric-owner", "-C", place / "theirs"], input=done.stdout, check=True
            )
            return tree_of(place / "theirs")

        yield run


def by_us(text: str, context: Path, place: Path) -> Tree:
    (place / "ours").mkdir()
    return tree_of(build(text, packed_directory(context), place / "ours"))


@pytest.mark.parametrize("case", SAME.strip().splitlines())
def test_the_same_tree(
    case: str, context: Path, tmp_path: Path, by_buildkit: Callable[[str, Path], Tree | None]
) -> None:
    text = written(case)
    theirs = by_buildkit(text, tmp_path)
    if theirs is None:
        with pytest.raises((SampanError, DockerfileError)):
            by_us(text, context, tmp_path)
    else:
        assert by_us(text, context, tmp_path) == theirs


@pytest.mark.parametrize("case", sorted(DIFFERENT))
def test_what_only_buildkit_builds(
    case: str, context: Path, tmp_path: Path, by_buildkit: Callable[[str, Path], Tree | None]
) -> None:
    text = written(case)
    assert by_buildkit(text, tmp_path)
    with pytest.raises(SampanError, match=DIFFERENT[case]):
        by_us(text, context, tmp_path)
