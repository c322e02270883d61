"""The files of /etc that the engine writes for a container: hostname, hosts, resolv.conf. Each is bound into it."""

import logging
import os
import posixpath
from collections.abc import Callable
from functools import partial

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.needs import Connected
from sampan.network import hosts
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.daemon")
_FILES = ("hostname", "hosts", "resolv.conf")
_LONGEST = 1 << 20
"""Bytes of a hosts file that is read again: its container may have written anything into it."""


def files(engine: Engine, container_id: ContainerId) -> dict[str, str]:
    """The file on the host for each place in the container."""
    directory = engine.directory(container_id)
    return {f"/etc/{name}": f"{directory}/{name}" for name in _FILES}


def write(engine: Engine, container_id: ContainerId, hostname: str, ends: Connected) -> None:
    """The container's own three, fresh at each start. Not durable: the next start writes them."""
    directory = engine.directory(container_id)
    texts = (hostname + "\n", ends.hosts, ends.resolv_conf)
    for name, text in zip(_FILES, texts, strict=True):
        # The inode stays: a container that shares the network has it mounted.
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def tell_parents(engine: Engine, container: Container, ends: Connected) -> None:
    """Containers that are linked to one that has started learn its new address."""
    for alias, parent in engine.linked.parents(container):
        if parent.state.alive and "bridge" in ends.settings:
            name, address = posixpath.basename(alias).encode(), ends.settings["bridge"].ip_address.encode()
            _rewrite(engine, parent, partial(hosts.moved, name=name, address=address))


def forget_link(engine: Engine, parent: Container, alias: str) -> None:
    """A container has lost a link: its hosts file does not name it any more."""
    name = posixpath.basename(alias).encode()
    if parent.state.alive:
        _rewrite(engine, parent, partial(hosts.without, name=name))


def renew_own(engine: Engine, container: Container, before: Connected, ends: Connected) -> None:
    """A running container stands in other networks than before: each of its addresses has its line, its resolver its address.

    A resolv.conf that the container has changed stays as it is, as in Docker.
    """
    if before.resolv_conf != ends.resolv_conf:
        old, new = before.resolv_conf.encode(), ends.resolv_conf.encode()
        _rewrite(engine, container, lambda text: new if text == old else text, "resolv.conf")
    config = container.definition.config
    if not config.hostname:
        return
    own = [
        hosts.own_line(address, config.hostname, config.domainname).encode()
        for settings in ends.settings.values()
        for address in (settings.ip_address, settings.global_ipv6_address)
        if address
    ]
    name = hosts.hostname_of(config.hostname, config.domainname).encode()

    def change(text: bytes) -> bytes:
        return b"\n".join([hosts.without(text, name).rstrip(b"\n"), *own, b""])

    _rewrite(engine, container, change)


def _rewrite(engine: Engine, container: Container, change: Callable[[bytes], bytes], name: str = "hosts") -> None:
    """Change one of a running container's files in its place. A fault is logged: the next start writes it anew."""
    path = f"{engine.directory(container.id)}/{name}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            before = os.pread(descriptor, _LONGEST, 0)
            after = change(before)
            if after != before:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, after, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        _log.warning("the file %s of container %s: %s", name, container.id[:12], error)
