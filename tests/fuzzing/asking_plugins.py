"""What plugins say: their answers, the documents in them, and the files that tell where they listen."""

import asyncio
import contextlib
import functools
import ipaddress
import socket
from pathlib import Path

from sampan.daemon import remote_ipam
from sampan.errors import SampanError
from sampan.network.remote import Answered, checked
from sampan.plugins import authorization, ipam_driver, network_driver
from sampan.plugins.conversation import read_answer
from sampan.plugins.places import Places
from sampan.plugins.plugin import Manifest, parse
from sampan.plugins.volume_driver import ANSWERS
from tests.fuzzing.asking_files import directory


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all cases: a loop for each takes longer than what it is for."""
    return asyncio.new_event_loop()


def answer(case: bytes) -> None:
    """A whole answer, which comes in pieces and ends."""

    async def read() -> bytes:
        reader = asyncio.StreamReader(limit=64 * 1024)
        for at in range(0, len(case), 512):
            reader.feed_data(case[at : at + 512])
        reader.feed_eof()
        return await (await read_answer(reader)).read(1 << 20)

    parse(Manifest, loop().run_until_complete(read()))


def volumes(case: bytes) -> None:
    """What a volume driver answers, whatever it was asked."""
    for kind in ANSWERS:
        parse(kind, case)


_NETWORKS = (
    *(network_driver.Capabilities, network_driver.CreatedEndpoint, network_driver.OperInfo),
    *(ipam_driver.Capabilities, ipam_driver.Spaces, authorization.Verdict),
)


def networks(case: bytes) -> None:
    """What drivers of networks and addresses answer, and what authorization plugins do: down to what may be asked of the kernel."""
    for kind in _NETWORKS:
        with contextlib.suppress(SampanError):
            parse(kind, case)
    with contextlib.suppress(SampanError):
        _pool(parse(ipam_driver.Pool, case))
    with contextlib.suppress(SampanError):
        remote_ipam.address_in(parse(ipam_driver.Address, case).address, ipaddress.ip_network("10.0.0.0/24"), "driver")
    with contextlib.suppress(SampanError):
        _joined(parse(network_driver.Joined, case))


def _pool(answer: ipam_driver.Pool) -> None:
    for version in (4, 6):
        with contextlib.suppress(SampanError):
            subnet = remote_ipam.subnet_of(answer.pool, version, "driver")
            assert subnet.version == version
            found = remote_ipam.address_in(answer.data.get("com.docker.network.gateway", ""), subnet, "driver")
            socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, found)


def _joined(answer: network_driver.Joined) -> None:
    link = answer.interface_name or network_driver.InterfaceName()
    found = checked(
        Answered(
            source=link.src_name,
            prefix=link.dst_prefix,
            name=link.dst_name,
            mac=link.dst_name,
            gateway=answer.gateway,
            gateway6=answer.gateway_ipv6,
            routes=tuple((one.destination, one.next_hop) for one in answer.static_routes),
        )
    )
    # What init hands to the kernel is packed without another look.
    for text in filter(None, (found.gateway, found.gateway6, *(hop for _, hop in found.routes))):
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    for destination, _ in found.routes:
        address, _, bits = destination.partition("/")
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        assert 0 <= int(bits) <= 128


def spec(case: bytes) -> None:
    """A .json file, where it begins as one, else a .spec file."""
    place = _place()
    name, ending = ("b", "json") if case[:1] == b"{" else ("a", "spec")
    with open(f"{place}/{name}.{ending}", "wb") as file:
        file.write(case)
    Places((), (place,)).find(name)


@functools.cache
def _place() -> Path:
    place = directory() / "specs"
    place.mkdir()
    return place
