"""The relinker: changes the network of a container that runs, in one short process of one thread.

    daemon ── RELINK + channel, pidfd ──▶ launcher ── fork ──▶ relinker: joins the container's network namespace,
           ◀────────────────── READY or FAILED ──────────────  with a socket of the host's in hand, makes the change, ends

The daemon has threads and must not go there itself. Nothing of the container's is opened but its namespace.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import socket

from sampan.kernel import rtnetlink
from sampan.kernel.namespaces import Clone, setns
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.kernel.process import Title
from sampan.network import attach
from sampan.runtime.messages import Kind, send
from sampan.runtime.offspring import stand_alone
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from sampan.runtime.messages import Message


def main(message: Message, title: Title) -> NoReturn:
    """Be a relinker. Called in a fresh child of the launcher; never returns."""
    code = 1
    try:
        stand_alone(message.descriptors)
        body = message.body
        who = str(body["id"])[:12]
        title.set(f"sampan-relinker {who}")
        lines.speak_as(f"relinker of {who}", str(body["request_id"]))
        channel = socket.socket(fileno=message.descriptors[0])
        try:
            relink(body, message.descriptors[1])
            send(channel, Kind.READY)
            code = 0
        except OSError as error:
            failed = {"fault": "network", "message": str(error.strerror or error), "errno": error.errno or 0}
            send(channel, Kind.FAILED, failed)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process; the launcher's standard error is the daemon's log
        lines.broken(error)
    finally:
        os._exit(code)


def relink(body: dict[str, Any], pidfd: int) -> None:
    """Make the link `add`, remove the link `remove`; the other members are then the ways out (`request.LinkChange`).

    A link that cannot be finished is removed again. Raises OSError.
    """
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with Netlink(NETLINK_ROUTE) as host:
        setns(pidfd, Clone.NEWNET)
        if body["remove"]:
            _remove(host, body["remove"], namespace)
        plan = body["add"]
        if not plan:
            _lead_out(body)
            return
        # This process stands in the container's namespace: the link, or the pair's other end, goes to its own.
        attach.create_link(plan, os.getpid(), host)
        try:
            inside = attach.configure_inside(plan, proc)
            _lead_out(body)
            inside.announce(plan["mac"])
            inside.close()
        except BaseException:
            _remove(host, plan, namespace)
            raise


def _remove(host: Netlink, plan: dict[str, Any], namespace: int) -> None:
    """Remove a link by what the container cannot have changed; one that is gone already is no fault.

    Of a pair that is the host's end, of a link on a parent its index inside; one that was moved goes back to `namespace`.
    """
    try:
        if plan["kind"] == "veth":
            host.request_all([rtnetlink.delete_message(name=plan["host_name"])])
            return
        if plan["kind"] == "moved":
            attach.move_back(plan, namespace)
            return
        with Netlink(NETLINK_ROUTE) as inside:
            inside.request_all([rtnetlink.delete_message(plan["index"])])
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _lead_out(body: dict[str, Any]) -> None:
    ways = (("gateway", "straight", socket.AF_INET), ("gateway6", "straight6", socket.AF_INET6))
    with Netlink(NETLINK_ROUTE) as inside:
        for gateway, straight, family in ways:
            if body[gateway]:
                inside.request_all([rtnetlink.default_route_message(attach.packed(body[gateway]))])
                continue
            if body[straight]:
                inside.request_all([rtnetlink.device_route_message(body[straight], family)])
                continue
            try:
                inside.request_all([rtnetlink.no_default_route_message(family)])
            except OSError as error:
                # No such route, not even a table yet, or a kernel without IPv6.
                if error.errno not in (errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                    raise
