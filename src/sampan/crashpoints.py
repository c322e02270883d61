"""Named places where a process of the engine ends at once when `SAMPAN_CRASH_AT` says so: tests prove what is made up for.

A point stands before and after each commit, fork, mount and acknowledgement. Without the variable a call costs one
comparison. Loaded by the launcher's side too: the standard module `os` only.
"""

from __future__ import annotations

import os

VARIABLE = "SAMPAN_CRASH_AT"
SIGKILL = 9
"""Nothing is flushed, no handler runs, and the parent sees what it would see."""

POINTS = (
    # state: around the one commit that makes a batch durable
    "state-before-commit",
    "state-after-commit",
    # daemon: between what a verb does and what it records or answers
    "create-after-layer",
    "create-after-commit",
    "start-before-request",
    "start-after-request",
    "start-after-commit",
    "exit-before-commit",
    "exit-after-commit",
    "remove-after-mark",
    "remove-before-commit",
    "remove-after-commit",
    "rename-after-commit",
    "exec-after-request",
    # networks: around what is done on the host and in a container, and what is recorded of it
    "network-before-commit",
    "network-after-commit",
    "network-after-removal",
    "remote-before-endpoint",
    "relink-after-record",
    "relink-after-change",
    "relink-before-commit",
    "relink-after-commit",
    # images and layers: around the rename that shows a layer and the commit that names an image
    "layer-before-publish",
    "layer-after-publish",
    "image-before-commit",
    "image-after-commit",
    # and where an image goes: its record, its blobs, its layers
    "image-after-removal",
    "image-after-blobs",
    "image-after-layers",
    # the build cache: around the commit that names what builds made, and where records go
    "build-before-commit",
    "build-after-commit",
    "build-after-removal",
    # managed plugins: around the commits that name one and say that it runs, and where its files go
    "plugin-before-commit",
    "plugin-enabled-before-commit",
    "plugin-after-removal",
    # runtime: launcher and monitor, around forks, mounts and records
    "launcher-before-fork",
    "launcher-after-fork",
    "monitor-after-mount",
    "monitor-after-clone",
    "monitor-after-record",
    "monitor-after-started",
    "monitor-after-exit-record",
    "monitor-after-exit-told",
)
"""The closed list of names; a room adds its own here."""

_armed = os.environ.get(VARIABLE, "")


def check() -> None:
    """Refuse a name that is on no list; called once at the start of each process. Raises ValueError."""
    if _armed and _armed not in POINTS:
        raise ValueError(f"{VARIABLE}={_armed}: no such crash point (there are {', '.join(POINTS)})")


def crash_point(name: str) -> None:
    """End this process here, if this is the point that was asked for."""
    if _armed == name:
        os.kill(os.getpid(), SIGKILL)
