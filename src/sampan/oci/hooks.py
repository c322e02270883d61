"""Hooks: programs of the host at points of a container's life (runtime-spec, config.md, "POSIX-platform Hooks").

Each reads the state on its standard input. It gets the environment that the bundle gives it and nothing else: neither the
caller's nor the image's (CVE-2025-23266).
"""

import os
from collections.abc import Sequence

import msgspec

from sampan.errors import InvalidParameter, System
from sampan.oci.containers import State
from sampan.oci.documents import Hook, Hooks

_LONGEST = 600
"""Seconds for one that names no time of its own."""
_SHOWN = 1000


def check(asked: Hooks) -> None:
    """Raise InvalidParameter for a path that is not absolute."""
    for point in asked.__struct_fields__:
        for hook in getattr(asked, point):
            if not hook.path.startswith("/"):
                raise InvalidParameter(f"hook path {hook.path[:80]!r} is not absolute")


def run(point: str, hooks: Sequence[Hook], state: State) -> None:
    """Run them in their order. Raises System for the first that fails, with what it wrote."""
    if not hooks:
        return
    # What hooks alone need is loaded for them alone: a third of what `create` loads.
    import subprocess

    text = msgspec.json.encode(state)
    for number, hook in enumerate(hooks):
        try:
            code, said = _run(hook, text, state.bundle)
        except subprocess.TimeoutExpired as error:
            raise System(f"error running {point} hook #{number}: {hook.path}: timed out") from error
        except OSError as error:
            raise System(f"error running {point} hook #{number}: {hook.path}: {error.strerror}") from error
        if code:
            raise System(f"error running {point} hook #{number}: exit status {code}, output: {said}")


def _run(hook: Hook, text: bytes, directory: str) -> tuple[int, str]:
    """Its exit status and the last of what it wrote, which goes to a file: memory would have no bound."""
    import subprocess
    import tempfile

    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            hook.args or (hook.path,),
            executable=hook.path,
            env=dict(_variable(entry) for entry in hook.env or ()),
            input=text,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=hook.timeout or _LONGEST,
            # Those of the end may come when the bundle is gone.
            cwd=directory if os.path.isdir(directory) else "/",
            check=False,
        )
        output.seek(max(output.seek(0, os.SEEK_END) - _SHOWN, 0))
        return done.returncode, output.read(_SHOWN).decode("utf-8", "replace").strip()


def _variable(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value
