"""What was taken of plugins: written down before it is asked for, so that a daemon's death leaves nothing taken for ever.

note ──▶ ask the plugin ──▶ … ──▶ it is given back ──▶ forgotten          what the next daemon finds unadopted it gives back
"""

import logging
from collections.abc import Coroutine, Iterator

import msgspec

from sampan.daemon.engine import Engine
from sampan.daemon.network_records import CLAIMS
from sampan.plugins.faults import PluginAway, PluginFailed, PluginNotFound
from sampan.plugins.ipam_driver import KIND as IPAM
from sampan.plugins.ipam_driver import IpamDriver
from sampan.plugins.network_driver import KIND as NETWORK
from sampan.plugins.network_driver import Endpoint, NetworkDriver
from sampan.spec.ids import NetworkId, new_id
from sampan.state.records import decoded
from sampan.state.store import Delete, Put

_log = logging.getLogger("sampan.network")


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one network or one container's place in it may have taken.

    `driver` and `ipam` are plugins, "" where none is; without an `endpoint` it is the network itself that is meant. `pools` and
    `addresses` (pool, address) are those of the IPAM driver. `made`: the network is acknowledged, and is to go.
    """

    id: str = msgspec.field(default_factory=new_id)
    network: NetworkId
    driver: str = ""
    ipam: str = ""
    endpoint: str = ""
    asked: bool = False
    """the network driver has been asked for it"""
    pools: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    made: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Claim)


class Claims:
    """All claims of a daemon, as they are in its state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __iter__(self) -> Iterator[Claim]:
        for key, data in tuple(self._engine.store.table(CLAIMS).items()):
            yield decoded(CLAIMS, key, data, _decoder.decode)

    def of(self, endpoint: str) -> Claim | None:
        """That of a place."""
        return next((claim for claim in self if claim.endpoint == endpoint), None)

    async def note(self, claim: Claim) -> Claim:
        """Durable when this returns."""
        await self._engine.commit([self.change(claim)])
        return claim

    @staticmethod
    def change(claim: Claim) -> Put:
        """The claim as it is to be in the state."""
        return Put(CLAIMS, claim.id, _encoder.encode(claim))

    @staticmethod
    def gone(claim: Claim) -> Delete:
        """It is given back."""
        return Delete(CLAIMS, claim.id)

    async def network_driver(self, name: str) -> NetworkDriver:
        """Raises PluginNotFound, PluginFailed."""
        return NetworkDriver(await self._engine.plugins.get(name, NETWORK))

    async def ipam_driver(self, name: str) -> IpamDriver:
        """Raises PluginNotFound, PluginFailed."""
        return IpamDriver(await self._engine.plugins.get(name, IPAM))

    async def give_back(self, claim: Claim) -> None:
        """Tell the plugins, and forget the claim.

        What one refuses is logged, as in Docker; one that is away is asked by the next daemon. What counts is what was noted
        last of the claim, whatever the caller has heard of it.
        """
        noted = self._engine.store.table(CLAIMS).get(claim.id)
        claim = claim if noted is None else _decoder.decode(noted)
        try:
            await self._tell_driver(claim)
            await self._tell_ipam(claim)
        except (PluginAway, PluginNotFound) as error:
            _log.warning("what was taken for network %s is not given back yet: %s", claim.network[:12], error)
            return
        await self._engine.commit([self.gone(claim)])

    async def _tell_driver(self, claim: Claim) -> None:
        if not claim.driver or not claim.asked:
            return
        driver = await self.network_driver(claim.driver)
        place = Endpoint(claim.network, claim.endpoint)
        if claim.endpoint:
            for act in (driver.revoke, driver.leave, driver.delete_endpoint):
                await self._logged(act(place), claim)
        else:
            await self._logged(driver.delete_network(claim.network), claim)

    async def _tell_ipam(self, claim: Claim) -> None:
        if not claim.pools and not claim.addresses:
            return
        ipam = await self.ipam_driver(claim.ipam)
        for pool, address in claim.addresses:
            await self._logged(ipam.release_address(pool, address), claim)
        for pool in claim.pools:
            await self._logged(ipam.release_pool(pool), claim)

    @staticmethod
    async def _logged(act: Coroutine[object, object, None], claim: Claim) -> None:
        try:
            await act
        except PluginAway:
            raise
        except PluginFailed as error:
            _log.warning("network %s: %s", claim.network[:12], error)
