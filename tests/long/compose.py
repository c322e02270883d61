"""The real `docker-compose`: the machine's, where it is of version 2, or Debian sid's package, unpacked below `.build`."""

import shutil
import subprocess
from pathlib import Path

from tests.daemons import Daemon, Outcome
from tests.long.sid import unpacked

_PROGRAM = "usr/libexec/docker/cli-plugins/docker-compose"


def program() -> Path:
    """Where it is; fetched where the machine has none."""
    return _of_the_machine() or unpacked("docker-compose") / _PROGRAM


def _of_the_machine() -> Path | None:
    places = [shutil.which("docker-compose"), f"/{_PROGRAM}"]
    for place in places:
        if place and Path(place).exists():
            told = subprocess.run([place, "version", "--short"], capture_output=True, text=True, check=False).stdout
            if told.startswith("2."):
                return Path(place)
    return None


class Project:
    """The compose file of a directory, against one engine."""

    def __init__(self, engine: Daemon, directory: Path) -> None:
        self._engine = engine
        self._directory = directory

    def __call__(self, *words: str) -> Outcome:
        command = [str(program()), "--project-directory", str(self._directory), "-p", "project"]
        return self._engine.execute([*command, "-f", str(self._directory / "compose.yaml"), *words], timeout=180)
