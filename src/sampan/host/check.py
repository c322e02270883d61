"""Asking the helper process: what callers use."""

import os
import subprocess
import sys

import msgspec

from sampan.errors import System
from sampan.host.finding import Finding

_SECONDS = 60


def probe_all(data_root: str) -> tuple[Finding, ...]:
    """Every finding about this host, in a fixed order, in well under a second; blocks.

    The probes run in a process of their own, started by exec: the caller may have threads, and neither its namespaces
    nor its capabilities change. Raises System where that process cannot be run.
    """
    return _asked(data_root)


def probe_one(data_root: str, name: str) -> Finding:
    """One finding by its name; as `probe_all` otherwise."""
    (found,) = _asked(data_root, name)
    return found


def _asked(*arguments: str) -> tuple[Finding, ...]:
    command = [sys.executable, "-I", "-B", "-m", "sampan.host", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True, env=_environment()
        )
        return msgspec.json.decode(done.stdout, type=tuple[Finding, ...])
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise System(f"the probes of the host failed: {said[-1] if said else error}") from error
    except (OSError, subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        raise System(f"the probes of the host failed: {error}") from error


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
