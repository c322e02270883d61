"""Addresses from a plugin: pools for a network, addresses for its containers. What it answers is checked before it is used."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from sampan.daemon.remote_claims import Claim, Claims
from sampan.errors import System
from sampan.network.definition import NetworkDefinition
from sampan.network.driver import Wish
from sampan.network.ipam import Subnet
from sampan.network.parented import random_mac
from sampan.plugins.ipam_driver import IpamDriver, RequestPool
from sampan.spec.networks import IPAM, IPAMConfig, NetworkCreateRequest


async def requested(
    claims: Claims, claim: Claim, request: NetworkCreateRequest, *, ipv6: bool
) -> tuple[NetworkCreateRequest, Claim, str]:
    """The request with the pools, gateways and kept addresses that the driver gives; the claim with them; their address space.

    One pool each is asked for where nothing was said. Raises System for an answer that cannot be, and what the plugin raises.
    """
    asked = request.ipam or IPAM()
    driver = await claims.ipam_driver(asked.driver)
    space = await driver.local_space()
    configs = list(asked.config or ())
    versions = {_version(one) for one in configs}
    if 4 not in versions and request.enable_ipv4 is not False:
        configs.insert(0, IPAMConfig())
    if ipv6 and 6 not in versions:
        configs.append(IPAMConfig(subnet="::/0"))
    found: list[IPAMConfig] = []
    for config in configs:
        version = _version(config)
        answer = await driver.request_pool(
            RequestPool(
                space,
                "" if config.subnet == "::/0" else config.subnet,
                config.ip_range,
                dict(asked.options or {}),
                version == 6,
            )
        )
        if not answer.pool_id or len(answer.pool_id) > 1024:
            raise System(f"the IPAM driver {asked.driver} gave a pool without a name, or with too long a one")
        claim = await claims.note(msgspec.structs.replace(claim, pools=(*claim.pools, answer.pool_id)))
        subnet = subnet_of(answer.pool, version, asked.driver)
        given, claim = await _kept(claims, claim, driver, answer.pool_id, subnet, config, answer.data)
        found.append(given)
    ipam = IPAM(driver="default", options=asked.options, config=tuple(found))
    return msgspec.structs.replace(request, ipam=ipam), claim, space


async def _kept(
    claims: Claims,
    claim: Claim,
    driver: IpamDriver,
    pool: str,
    subnet: Subnet,
    config: IPAMConfig,
    data: dict[str, str],
) -> tuple[IPAMConfig, Claim]:
    """Gateway and auxiliary addresses, taken of the driver too."""
    own = data.get("com.docker.network.gateway", "")
    gateway = own.partition("/")[0]
    if not own or config.gateway:
        gateway = address_in(await driver.request_address(pool, config.gateway, gateway=True), subnet, claim.ipam)
        claim = await claims.note(msgspec.structs.replace(claim, addresses=(*claim.addresses, (pool, gateway))))
    elif ipaddress.ip_address(_plain(gateway, claim.ipam)) not in subnet:
        raise System(f"the IPAM driver {claim.ipam} gave the gateway {gateway[:64]}, which is not in {subnet}")
    for wanted in (config.auxiliary_addresses or {}).values():
        address = address_in(await driver.request_address(pool, wanted), subnet, claim.ipam)
        if address != wanted:
            raise System(f"the IPAM driver {claim.ipam} gave {address} where {wanted} was asked for")
        claim = await claims.note(msgspec.structs.replace(claim, addresses=(*claim.addresses, (pool, address))))
    made = IPAMConfig(
        subnet=str(subnet),
        ip_range=config.ip_range,
        gateway=gateway,
        auxiliary_addresses=config.auxiliary_addresses,
    )
    return made, claim


async def addressed(claims: Claims, claim: Claim, definition: NetworkDefinition, wish: Wish) -> tuple[Wish, Claim]:
    """The wish with addresses that the driver of the network has given, in each family that it has."""
    driver = await claims.ipam_driver(definition.ipam_driver)
    if not wish.mac and (await driver.capabilities()).requires_mac_address:
        wish = replace(wish, mac=random_mac())
    for pool, text in _pools(definition):
        subnet = ipaddress.ip_network(text)
        wanted = wish.address if subnet.version == 4 else wish.address6
        given = await driver.request_address(pool, wanted, mac=wish.mac)
        plain = _plain(given.partition("/")[0], definition.ipam_driver)
        # Noted whatever it is: it was given, and is to be given back.
        claim = await claims.note(msgspec.structs.replace(claim, addresses=(*claim.addresses, (pool, plain))))
        address = address_in(given, subnet, definition.ipam_driver)
        if wanted and address != wanted:
            raise System(f"the IPAM driver {definition.ipam_driver} gave {address} where {wanted} was asked for")
        wish = replace(wish, address=address) if subnet.version == 4 else replace(wish, address6=address)
    return wish, claim


def _pools(definition: NetworkDefinition) -> Sequence[tuple[str, str]]:
    """The driver's pool and the subnet of each family."""
    subnets = [subnet for subnet in (definition.subnet, definition.subnet6) if subnet]
    return list(zip(definition.pool_ids, subnets, strict=False))


def _version(config: IPAMConfig) -> int:
    return 6 if ":" in config.subnet else 4


def subnet_of(text: str, version: int, driver: str) -> Subnet:
    """The pool that a driver gave, as one of the family `version`. Raises System."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise System(f"the IPAM driver {driver} gave the pool {text[:64]!r}, which is none") from error
    if found.version != version:
        raise System(f"the IPAM driver {driver} gave the pool {text[:64]}, which is of the other family")
    if not found.prefixlen or found.is_loopback or found.is_multicast or found.is_unspecified:
        raise System(f"the IPAM driver {driver} gave the pool {found}, which can be no network of containers")
    return found


def _plain(text: str, driver: str) -> str:
    try:
        if "%" in text:
            raise ValueError("an address with a zone is one of this host's, not of a container's")
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise System(f"the IPAM driver {driver} gave the address {text[:64]!r}, which is none") from error


def address_in(text: str, subnet: Subnet, driver: str) -> str:
    """The address that a driver gave, without its prefix. Raises System for one that is not in `subnet`."""
    plain = _plain(text.partition("/")[0], driver)
    if ipaddress.ip_address(plain) not in subnet:
        raise System(f"the IPAM driver {driver} gave the address {plain}, which is not in {subnet}")
    return plain
