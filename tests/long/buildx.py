"""The real `docker-buildx`: Debian sid's package, unpacked below `.build`, as a plugin of this machine's `docker`."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.daemons import Daemon, Outcome
from tests.long.sid import unpacked


def program() -> Path:
    """Where it is; fetched where it is not there yet."""
    return unpacked("docker-buildx") / "usr/libexec/docker/cli-plugins/docker-buildx"


class Buildx:
    """`docker` with the plugin, against one engine; its configuration lies in `home`, which is made."""

    def __init__(self, engine: Daemon, home: Path) -> None:
        self._engine = engine
        self._home = home
        plugins = home / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-buildx").symlink_to(program())

    def __call__(
        self, *words: str, stdin: bytes = b"", timeout: float = 120, more: Mapping[str, str] | None = None
    ) -> Outcome:
        # bake asks before it reads files outside of the working directory.
        environment = {
            "DOCKER_CONFIG": str(self._home),
            "BUILDX_CONFIG": str(self._home / "buildx"),
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            **(more or {}),
        }
        return self._engine.docker(*words, stdin=stdin, timeout=timeout, env=environment)


def ok(done: Outcome) -> str:
    """What a command that went well said."""
    assert done.code == 0, done
    return (done.out + done.err).decode()


def steps(done: Outcome, word: str) -> int:
    """How many steps of a build ended with that word."""
    return len(re.findall(rf"^#\d+ {word}", ok(done), re.MULTILINE))
