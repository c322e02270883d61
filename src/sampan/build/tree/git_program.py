"""The host's `git`, run with a hostile server and a hostile repository in mind.

It reads no configuration of this machine, asks nobody anything, speaks no protocol but http, https, ssh and git (no local files,
no `ext::`), runs no hook, and ends with the daemon, with the build, when the disk is nearly full, or when its time is up.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import sampan
from sampan.build.tree.room import check_free
from sampan.errors import InvalidParameter, System
from sampan.images.steps import Cancellation
from sampan.registry.settings import Proxies

SECONDS = 3600
"""for one run"""
OUTPUT_LIMIT = 16 << 20
_TOLD = 4096
_TICK = 0.2
_PIECE = 1 << 16
_PACKAGES = str(Path(sampan.__file__).parents[1])
# git would go on when the daemon is killed: it is told of that by the kernel.
_PROGRAM = (
    "import os, sys; sys.path.append(sys.argv[1]); sys.dont_write_bytecode = True; "
    "from sampan.kernel.process import Prctl, prctl; prctl(Prctl.SET_PDEATHSIG, 9); "
    "os.getppid() == int(sys.argv[2]) or os._exit(1); os.execve(sys.argv[3], sys.argv[3:], os.environ)"
)
_SETTINGS = (
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", "/bin/false"),
    ("credential.helper", ""),
    ("init.defaultBranch", "master"),
    ("advice.detachedHead", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


class GitFailed(InvalidParameter):
    """git ended with an error; the text has what it said, without names and passwords of URLs."""

    def __init__(self, what: str, said: str) -> None:
        super().__init__(f"{what}: git stderr:\n{said}")
        self.said = said


class GitProgram:
    """One for a daemon; any thread may run it."""

    def __init__(self, path: str, proxies: Proxies) -> None:
        """`path`: the directories of programs, with colons, as PATH has them."""
        self._path = path
        self._environment = _environment(path, proxies)

    def run(
        self,
        arguments: Sequence[str],
        directory: int,
        what: str,
        agent: str = "",
        end: Cancellation | None = None,
        header: tuple[str, str] | None = None,
    ) -> bytes:
        """Run git in the directory (a descriptor); its output. `agent`: the socket of an ssh agent. `what` begins an error's text.

        `header`: a server's address, and a header of HTTP that it alone gets.

        Raises GitFailed, System where there is no git, OSError (ENOSPC), Cancelled.
        """
        program = self._find()
        environment = {**self._environment, **({"SSH_AUTH_SOCK": agent} if agent else {}), **_extra(header)}
        command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, _PACKAGES, str(os.getpid()), program, *arguments]
        with subprocess.Popen(
            command,
            cwd=f"/proc/self/fd/{directory}",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=0o022,
        ) as process:
            try:
                output, said = _listen(process, directory, end)
            except BaseException:
                # Not waited for yet, so the number is still its own.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise GitFailed(what, redacted(said.decode("utf-8", "replace").strip()))
        return output

    def _find(self) -> str:
        for place in self._path.split(":"):
            if place and os.access(f"{place}/git", os.X_OK):
                return f"{place}/git"
        raise System('exec: "git": executable file not found in $PATH: install git on this machine (apt install git)')


def _listen(process: "subprocess.Popen[bytes]", directory: int, end: Cancellation | None) -> tuple[bytes, bytes]:
    """Output and the end of what it said; reads until both pipes are closed."""
    assert process.stdout is not None
    assert process.stderr is not None
    output, said = bytearray(), bytearray()
    until = time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, said)
        while selector.get_map():
            if end is not None:
                end.check()
            check_free(directory)
            if time.monotonic() > until:
                raise System(f"git did not end within {SECONDS} seconds")
            for key, _ in selector.select(_TICK):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            if len(output) > OUTPUT_LIMIT:
                raise System(f"git wrote more than {OUTPUT_LIMIT} bytes")
            del said[:-_TOLD]
    return bytes(output), bytes(said)


def _extra(header: tuple[str, str] | None) -> dict[str, str]:
    """One setting more. In the environment, where no other user of the machine sees it."""
    if header is None:
        return {}
    number = len(_SETTINGS)
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{header[0]}.extraHeader",
        f"GIT_CONFIG_VALUE_{number}": header[1],
    }


def _environment(path: str, proxies: Proxies) -> dict[str, str]:
    given = {
        "PATH": path,
        "HOME": "/dev/null",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_ALLOW_PROTOCOL": "http:https:ssh:git",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
    }
    for number, (name, value) in enumerate(_SETTINGS):
        given[f"GIT_CONFIG_KEY_{number}"], given[f"GIT_CONFIG_VALUE_{number}"] = name, value
    said: Mapping[str, str] = {
        "http_proxy": proxies.http,
        "https_proxy": proxies.https,
        "no_proxy": proxies.no_proxy,
    }
    return {**given, **{name: value for name, value in said.items() if value}}


def redacted(text: str) -> str:
    """`text` without the names and passwords in its URLs."""
    return _PASSWORD.sub("xxxxx@", text)
