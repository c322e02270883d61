"""The relinker: changes the network of a container that runs, in one short process of one thread.

    daemon ── RELINK + channel, pidfd ──▶ launcher ── fork ──▶ relinker: joins the container's network namespace,
           ◀────────────────── READY or FAILED ──────────────  with a socket of the host's in hand, makes the change, ends

The daemon has threads and must not go there itself. Nothing of the container's is opened but its namespace.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys

from sampan.kernel import rtnetlink
from sampan.kernel.namespaces import Clone, setns
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.kernel.process import Title, close_all_but
from sampan.network import attach
from sampan.runtime.messages import Kind, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from sampan.runtime.messages import Message


def main(message: Message, title: Title) -> NoReturn:
    """Be a relinker. Called in a fresh child of the launcher; never returns."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        close_all_but(message.descriptors)
        body = message.body
        title.set(f"sampan-relinker {str(body['id'])[:12]}")
        channel = socket.socket(fileno=message.descriptors[0])
        try:
            relink(body, message.descriptors[1])
            send(channel, Kind.READY)
            code = 0
        except OSError as error:
            failed = {"fault": "network", "message": str(error.strerror or error), "errno": error.errno or 0}
            send(channel, Kind.FAILED, failed)
    except BaseException:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def relink(body: dict[str, Any], pidfd: int) -> None:
    """Make the pair `add`, remove the one whose host's end is `remove`; `gateway` and `gateway6` are then the ways out ("": none).

    A pair that cannot be finished is removed again. Raises OSError.
    """
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with Netlink(NETLINK_ROUTE) as host:
        setns(pidfd, Clone.NEWNET)
        if body["remove"]:
            _remove(host, body["remove"])
        plan = body["add"]
        if not plan:
            _lead_out(body)
            return
        # This process stands in the container's namespace: the pair's other end goes to its own.
        attach.create_veth(plan, os.getpid(), host)
        try:
            inside = attach.configure_inside(plan, proc)
            _lead_out(body)
            inside.announce(plan["mac"])
            inside.close()
        except BaseException:
            _remove(host, plan["host_name"])
            raise


def _remove(host: Netlink, name: str) -> None:
    """Remove a pair by the host's end, which the container cannot have renamed; one that is gone already is no fault."""
    try:
        host.request_all([rtnetlink.delete_message(name=name)])
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _lead_out(body: dict[str, Any]) -> None:
    with Netlink(NETLINK_ROUTE) as inside:
        for name, family in (("gateway", socket.AF_INET), ("gateway6", socket.AF_INET6)):
            if body[name]:
                inside.request_all([rtnetlink.default_route_message(attach.packed(body[name]))])
                continue
            try:
                inside.request_all([rtnetlink.no_default_route_message(family)])
            except OSError as error:
                # No such route, not even a table yet, or a kernel without IPv6.
                if error.errno not in (errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                    raise
