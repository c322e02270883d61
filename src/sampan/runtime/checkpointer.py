"""The checkpointer: has criu dump one container, in a process of its own that outlives the daemon.

    daemon ── executes ──▶ checkpointer ── executes ──▶ criu swrk ──▶ stops the program, writes its images
           ◀── READY or FAILED ──  at "post-dump": notes beside the images, all of it on the disk, the directory gets its name;
                                   only then is the program killed, or goes on

A daemon that is killed meanwhile leaves a container that either runs or has ended with its checkpoint whole under its name:
never one that is gone without. It is executed and not forked: criu needs the host's mount namespace, and nothing of this is
loaded by a process that lies on the path of a start.

Its descriptors: 3 the channel, 4 the directory of the images, still without a name, 5 the directory that it is to be named in.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from sampan.kernel.process import Title
from sampan.kernel.sync import syncfs
from sampan.runtime import checkpoint_plan as plan
from sampan.runtime import criu, record
from sampan.runtime.messages import Kind, pair, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

CHANNEL, IMAGES, PARENT = 3, 4, 5


def main() -> NoReturn:
    """Entry point. `sys.argv[1]` is the JSON that `checkpoints.dump_order` made."""
    body = json.loads(sys.argv[1])
    channel = socket.socket(fileno=CHANNEL)
    for descriptor in (CHANNEL, IMAGES, PARENT):
        os.set_inheritable(descriptor, False)
    Title().set(f"sampan-checkpointer {str(body['id'])[:12]}")
    try:
        _dump(body)
        kind, message = Kind.READY, ""
    except (OSError, plan.NotPossible, criu.CriuFailed) as error:
        kind, message = Kind.FAILED, str(error)
    try:
        send(channel, kind, {"message": message})
    except OSError:
        # The daemon is gone; what was done stands by itself.
        pass
    os._exit(0)


def _dump(body: dict[str, Any]) -> None:
    pid = int(body["pid"])
    mountinfo = plan.read_mountinfo(pid)
    streams = plan.find_streams(pid, mountinfo)
    external = _external(body, pid, mountinfo) + [name for name in streams if name.startswith("file")]
    if record.start_time(pid) != body["pid_start"]:
        raise plan.NotPossible("the program has ended")
    request = criu.dump_request(IMAGES, pid, external, leave_running=bool(body["leave_running"]))

    def publish(_pid: int) -> None:
        _publish(body, plan.notes(str(body["id"]), streams))

    errors = os.memfd_create("criu-errors")
    channel, theirs = pair()
    child = os.fork()
    if child == 0:
        criu.execute(str(body["criu"]), theirs.fileno(), [], errors)
    theirs.close()
    try:
        criu.converse(channel, request, {"post-dump": publish})
    except criu.CriuFailed as failed:
        said = criu.reason(criu.read_log(IMAGES, criu.DUMP_LOG)) or os.pread(errors, 4096, 0).decode(errors="replace")
        raise criu.CriuFailed(said.strip() or str(failed)) from failed
    finally:
        channel.close()
        os.waitpid(child, 0)


def _external(body: dict[str, Any], pid: int, mountinfo: str) -> list[str]:
    """What of the container is not dumped: mounts from outside, and a network namespace of its own."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        places = plan.find_places(root, mountinfo, body["destinations"])
    finally:
        os.close(root)
    external = plan.external_mounts(places)
    network = os.stat(f"/proc/{pid}/ns/net").st_ino
    if network != os.stat("/proc/self/ns/net").st_ino:
        external.append(f"net[{network}]:{plan.NETWORK}")
    return external


def _publish(body: dict[str, Any], notes: bytes) -> None:
    """Everything is on the disk before it has its name, and has its name before the program may end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(plan.NOTES, flags, 0o600, dir_fd=IMAGES)
    try:
        os.write(descriptor, notes)
    finally:
        os.close(descriptor)
    syncfs(IMAGES)
    os.rename(str(body["staging"]), str(body["name"]), src_dir_fd=PARENT, dst_dir_fd=PARENT)
    os.fsync(PARENT)
