"""Where a container's published ports lead, and how: from its ways out, and the modes of their networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampan.network.definition import GatewayMode
from sampan.network.ports import Reach, can_listen_on_ipv6

if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.network.arrangement import Ways
    from sampan.network.bridge_settings import BridgeSettings
    from sampan.network.endpoint import Endpoint
    from sampan.network.options import NetworkOptions


def reach(out: Ways, settings_of: Callable[[Endpoint], BridgeSettings | None], options: NetworkOptions) -> Reach:
    """`settings_of` gives the bridge that an end point stands in; None for what is no bridge."""
    settings = {one: settings_of(one) for one in (out.ipv4, out.ipv6) if one is not None}
    first = settings.get(out.endpoint) if out.endpoint is not None else None
    modes = {4: GatewayMode.NAT, 6: GatewayMode.NAT}
    for version, one in ((4, out.ipv4), (6, out.ipv6)):
        found = settings.get(one) if one is not None else None
        if found is not None and (family := found.families().get(version)) is not None:
            modes[version] = family.mode
    return Reach(
        address=out.ipv4.address if out.ipv4 is not None else "",
        address6=out.ipv6.address6 if out.ipv6 is not None else "",
        default_ip=(first.bind_ip if first is not None else "") or options.default_bind_ip,
        routed=modes[4] is GatewayMode.ROUTED,
        routed6=modes[6] is GatewayMode.ROUTED,
        proxy=options.userland_proxy,
        has_ipv6=can_listen_on_ipv6(),
    )
