"""Where the files of an ordinary user's daemon are: by the XDG base directory specification, with the home to fall back on."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Places:
    """Paths, made by nobody yet. `run` is the daemon's exec root; all else that lives as long as a boot lies in it, too."""

    __slots__ = ("config", "data", "home", "run")

    def __init__(self, home: str, run: str, data: str, config: str) -> None:
        self.home = home
        self.run = run
        self.data = data
        self.config = config

    @property
    def socket(self) -> str:
        """Where the daemon listens."""
        return f"{self.run}/sampan.sock"

    @property
    def keeper(self) -> str:
        """Where the keeper listens."""
        return f"{self.run}/keeper.sock"

    @property
    def daemon_json(self) -> str:
        """The daemon's configuration."""
        return f"{self.config}/daemon.json"

    @property
    def choices(self) -> str:
        """What `sampan rootless setup` wrote. That it is there is the user's word that a daemon may be started on demand."""
        return f"{self.config}/rootless.json"

    @property
    def log(self) -> str:
        """What the daemon says."""
        return f"{self.data}/sampand.log"

    @property
    def uplink(self) -> str:
        """The pid and start time of the program that leads out of the network namespace."""
        return f"{self.run}/uplink.pid"

    @property
    def resolv_conf(self) -> str:
        """The daemon's /etc/resolv.conf."""
        return f"{self.run}/resolv.conf"


def of_user(environ: Mapping[str, str], uid: int) -> Places:
    """The places of the user `uid`. XDG_RUNTIME_DIR counts only where it is this user's and closed to others."""
    home = environ.get("HOME") or "/"
    run = next(
        (path for path in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}") if _is_private(path, uid)),
        os.path.join(home, ".local/state/sampan"),
    )
    data = _absolute(environ.get("XDG_DATA_HOME", "")) or os.path.join(home, ".local/share")
    config = _absolute(environ.get("XDG_CONFIG_HOME", "")) or os.path.join(home, ".config")
    return Places(home, os.path.join(run, "sampan"), os.path.join(data, "sampan"), os.path.join(config, "sampan"))


def _absolute(path: str) -> str:
    return path if path.startswith("/") else ""


def _is_private(path: str, uid: int) -> bool:
    if not path.startswith("/"):
        return False
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077
