"""The real `docker-compose`: the machine's, where it is of version 2, or Debian sid's package, unpacked below `.build`."""

import shutil
import subprocess
from pathlib import Path

from tests.daemons import PROJECT, Daemon, Outcome

_PLACE = PROJECT / ".build" / "compose"
_PROGRAM = "usr/libexec/docker/cli-plugins/docker-compose"
_SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main\n"


def program() -> Path:
    """Where it is; fetched where it is not there yet, with lists of its own, so that the machine's apt stays as it is."""
    unpacked = _PLACE / _PROGRAM
    if unpacked.exists():
        return unpacked
    if (found := _of_the_machine()) is not None:
        return found
    shutil.rmtree(_PLACE, ignore_errors=True)
    for directory in ("lists/partial", "cache/archives/partial"):
        (_PLACE / directory).mkdir(parents=True)
    (_PLACE / "sources.list").write_text(_SOURCE)
    settings = {
        "Dir::Etc::sourcelist": _PLACE / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": _PLACE / "lists",
        "Dir::Cache": _PLACE / "cache",
        "Acquire::Check-Valid-Until": "false",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["download", "docker-compose"]):
        subprocess.run(["apt-get", "-q", *options, *command], cwd=_PLACE, check=True, capture_output=True, timeout=300)
    package = next(_PLACE.glob("docker-compose_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, _PLACE], check=True)
    return unpacked


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
