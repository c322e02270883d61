"""Drivers in Python, whose process the daemon asks; entries of their logs; managed plugins, whose configuration comes with them."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sampan.drivers import authorization, frontend, ipam, log, network, snapshot, volume
from sampan.drivers.calls import Book
from sampan.drivers.log_entries import Entry, decode_entry, encode_entry
from sampan.errors import SampanError
from sampan.managed import bundle, configuration, privileges, settings
from sampan.managed.catalog import Record
from sampan.spec.ids import digest_of

_ANSWERS: dict[str, Callable[..., object]] = {
    "mount": lambda name, use: Path("/") / use,
    "volume": volume.Volume,
    "volumes": lambda: (volume.Volume("a"),),
    "default_address_spaces": lambda: ("local", "global"),
    "request_pool": lambda space, pool, sub_pool, options, ipv6: ipam.Pool(space, pool, dict(options)),
    "request_address": lambda pool, address, options: address,
    "create_endpoint": lambda network, endpoint, wanted, options: wanted,
    "join": lambda network, endpoint, sandbox, options: network_joined(sandbox),
    "endpoint_status": lambda network, endpoint: {"a": endpoint},
    "request": lambda request: authorization.Verdict(True, request.uri),
    "response": lambda request, response: authorization.Verdict(bool(response.body), request.user),
    "translate": lambda source, arguments: source + "".join(arguments.values()),
    "read": lambda container, window: [Entry("stdout", 1, container.container_name.encode())],
}
"""What a driver says that says what it was asked, so that all of it goes both ways."""


def network_joined(link: str) -> network.Joined:
    """How a container stands there."""
    return network.Joined(link, routes=(network.Route(link),))


class _Echo:
    """A driver of every kind."""

    scope = connectivity = "local"
    readable = True

    def open(self, _: log.Container) -> log.Sink:
        raise ValueError("no run begins: its FIFO would be any path")

    def __getattr__(self, name: str) -> Callable[..., object]:
        return _ANSWERS.get(name, lambda *_: None)


@functools.cache
def _book() -> tuple[Book, tuple[str, ...]]:
    echo: Any = _Echo()
    kinds = {
        module.KIND: module.calls(echo) for module in (volume, network, ipam, log, authorization, snapshot, frontend)
    }
    return Book(kinds), ("Plugin.Activate", *(name for calls in kinds.values() for name in calls))


def calls(case: bytes) -> None:
    """A call, by the first byte, with the rest as its document: an answer, whatever it is."""
    book, names = _book()
    status, answer = book.answer(names[case[0] % len(names)] if case else "", case[1:])
    assert status in (200, 400, 404, 500)
    if isinstance(answer, Iterator):
        for piece in answer:
            assert decode_entry(piece[4:]).source == "stdout"


def log_entry(case: bytes) -> None:
    """An entry of a log, as a driver's process reads it: what is written of it is read the same."""
    entry = decode_entry(case)
    if entry.partial or not (entry.part or entry.ordinal or entry.last):
        assert decode_entry(encode_entry(entry)[4:]) == entry


def managed(case: bytes) -> None:
    """A plugin's `config.json`: what it asks for, what can be set, and the bundle that is made of it."""
    config = configuration.read(case)
    configuration.capabilities(config)
    privileges.check(config, privileges.asked(config))
    before = settings.initial(config)
    settings.carried_over(config, before)
    for wanted in ("DEBUG=1", "state.source=/srv", "gpu.path=/dev/null", "args.value=-v", case[:40].decode("latin-1")):
        with contextlib.suppress(SampanError):
            config, before = settings.changed(config, before, [wanted])
    if any(os.path.isdir(device.path or "") for device in before.devices):
        return  # what lies in this machine's directories is not the case's
    digest = digest_of(b"x")
    record = Record(
        id="i",
        name="a:latest",
        reference="a:latest",
        config=config,
        settings=before,
        configuration=digest,
        manifest=digest,
        media_type="",
        layers=(),
        root="root",
    )
    for propagated in ("", "/run/propagated"):
        bundle.document(record, bundle.Places("/rootfs", "/sockets", propagated, "/group"))
