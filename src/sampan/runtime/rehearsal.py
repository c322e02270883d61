"""What a parked process does while it waits: walk through the code of its part once, without consequences.

A forked interpreter shares its memory with the launcher until it writes, and running code writes (reference counts), so the
first pass through any function costs a page fault for each page that it touches. In a parked slot that pass is taken
before anybody waits for it. Nothing here may change the process: it opens, reads and closes.

Loaded by the launcher.
"""

from __future__ import annotations

import os

from sampan.kernel.caps import capget
from sampan.kernel.mount import fsconfig_string, fsopen
from sampan.runtime import credentials, execute, rootfs
from sampan.runtime.messages import Kind, pair, receive, send
from sampan.runtime.steps import Journal, StepFailed
from sampan.runtime.world import Context

_SAMPLE = {"root": [["show", f"/p{number}", ["nosuid", "noexec"]] for number in range(24)], "text": "00" * 1000}


def of_init() -> None:
    """Init's part: messages, users, capabilities, the search for the program."""
    _messages()
    context = Context()
    context.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    journal = Journal()
    try:
        os.close(journal.run("", rootfs.make_place, context.root, "/dev", True))
        credentials.look_up(context.root, "", [])
        credentials.mask(["CAP_CHOWN", "CAP_KILL"])
        capget()
        os.getresuid()
        execute.rlimits(context, [])
        execute.find(context, ["nothing"], ["PATH=/dev:/", "HOME=/"])
    except StepFailed:
        # "executable file not found": the walk through the search is what was wanted.
        pass
    finally:
        os.close(context.root)


def of_monitor() -> None:
    """The monitor's part: messages, pipes, the configuration of an overlay that is never made."""
    _messages()
    for end in (*os.pipe(), *os.pipe()):
        os.close(end)
    overlay = fsopen(b"overlay")
    fsconfig_string(overlay, b"source", b"overlay")
    os.close(overlay)


def of_exec_monitor() -> None:
    """An exec's: its own part and, because its child is its copy, init's too."""
    _messages()
    of_init()


def _messages() -> None:
    one, other = pair()
    with one, other:
        send(one, Kind.SETUP, _SAMPLE, [one.fileno()])
        message = receive(other)
        if message is not None:
            message.close()
