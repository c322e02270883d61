"""The user dockremap of `userns-remap=default`, made by the machine's own programs as Docker makes it. Imported when needed."""

import subprocess

from sampan.errors import System

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_SECONDS = 60


def make_user(name: str, *, ranges: tuple[int, int]) -> None:
    """A system user without home and shell, with subordinate users and groups from `ranges[0]` to `ranges[1]`. Raises System."""
    _call(name, "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", name)
    first, last = ranges
    _call(name, "usermod", "--add-subuids", f"{first}-{last}", "--add-subgids", f"{first}-{last}", name)


def _call(name: str, *words: str) -> None:
    why = f'Error during "{name}" user creation: {words[0]}'
    try:
        done = subprocess.run(
            words, env={"PATH": _PATH}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise System(
            f"{why} is not there (package passwd): install it, or make the user yourself and give it ranges in /etc/subuid and "
            "/etc/subgid, or name another user"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise System(f"{why}: {error}") from error
    if done.returncode:
        raise System(f"{why}: {done.stderr.decode(errors='replace').strip()}")
