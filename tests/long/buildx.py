"""The real `docker-buildx`: Debian sid's package, unpacked below `.build`, as a plugin of this machine's `docker`."""

import subprocess
from pathlib import Path

from tests.daemons import PROJECT, Daemon, Outcome

_PLACE = PROJECT / ".build" / "buildx"
_PROGRAM = "usr/libexec/docker/cli-plugins/docker-buildx"
_SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main\n"


def program() -> Path:
    """Where it is; fetched where it is not there yet, with lists of its own, so that the machine's apt stays as it is."""
    unpacked = _PLACE / _PROGRAM
    if unpacked.exists():
        return unpacked
    for directory in ("lists/partial", "cache/archives/partial"):
        (_PLACE / directory).mkdir(parents=True, exist_ok=True)
    (_PLACE / "sources.list").write_text(_SOURCE)
    settings = {
        "Dir::Etc::sourcelist": _PLACE / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": _PLACE / "lists",
        "Dir::Cache": _PLACE / "cache",
        "Acquire::Check-Valid-Until": "false",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["download", "docker-buildx"]):
        subprocess.run(["apt-get", "-q", *options, *command], cwd=_PLACE, check=True, capture_output=True, timeout=300)
    package = next(_PLACE.glob("docker-buildx_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, _PLACE], check=True)
    return unpacked


class Buildx:
    """`docker` with the plugin, against one engine; its configuration lies in `home`, which is made."""

    def __init__(self, engine: Daemon, home: Path) -> None:
        self._engine = engine
        self._home = home
        plugins = home / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-buildx").symlink_to(program())

    def __call__(self, *words: str, stdin: bytes = b"", timeout: float = 120) -> Outcome:
        # bake asks before it reads files outside of the working directory.
        environment = {
            "DOCKER_CONFIG": str(self._home),
            "BUILDX_CONFIG": str(self._home / "buildx"),
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        }
        return self._engine.docker(*words, stdin=stdin, timeout=timeout, env=environment)
