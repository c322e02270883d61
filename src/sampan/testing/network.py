"""The suite of network drivers. It makes links, and needs root where the driver does."""

import os
from typing import Any, ClassVar

from sampan.drivers.network import KIND
from sampan.testing.suite import Suite

_NETWORK, _ENDPOINT = "5" * 64, "7" * 64


class NetworkDriverSuite(Suite):
    """What Sampan relies on in a network driver. `options` are given with each network that is made."""

    kind: ClassVar[str] = KIND
    options: ClassVar[dict[str, str]] = {}
    subnet: ClassVar[str] = "10.212.0.0/24"
    gateway: ClassVar[str] = "10.212.0.1/24"

    def make_network(self, network: str = _NETWORK) -> None:
        """With the suite's subnet."""
        data = [{"Pool": self.subnet, "Gateway": self.gateway, "AddressSpace": "local"}]
        generic = {"com.docker.network.generic": self.options}
        self.ask("CreateNetwork", NetworkID=network, IPv4Data=data, IPv6Data=[], Options=generic)

    def end(self, method: str, endpoint: str = _ENDPOINT, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """A call about an end point."""
        return self.ask(method, NetworkID=_NETWORK, EndpointID=endpoint, **members)

    def test_the_scope_is_one_that_docker_knows(self) -> None:
        """`local` or `global`, both times."""
        said = self.ask("GetCapabilities")
        assert said["Scope"] in ("local", "global")
        assert said.get("ConnectivityScope", "local") in ("local", "global")

    def test_a_network_comes_and_goes(self) -> None:
        """And leaves no link behind; gone already is no fault."""
        before = links()
        self.make_network()
        made = links() - before
        for _ in range(2):
            self.ask("DeleteNetwork", NetworkID=_NETWORK)
        assert not made & links()

    def test_an_end_point_gets_a_link(self) -> None:
        """Which is there when the container enters, has a name that fits, and goes with the end point."""
        before = links()
        self.make_network()
        made = links() - before
        wanted = {"Address": f"{self.gateway.rpartition('.')[0]}.9/{self.subnet.rpartition('/')[2]}"}
        chosen = self.end("CreateEndpoint", Interface=wanted, Options={}).get("Interface") or {}
        assert not chosen.get("Address"), "an address that was given is not the driver's to choose"
        joined = self.end("Join", SandboxKey="/proc/self/ns/net", Options={})
        link = joined["InterfaceName"]
        assert link["SrcName"] in links() - before, f"Join answered {link['SrcName']}, which is no link of this host"
        assert len(link["SrcName"]) < 16
        assert 0 < len(link["DstPrefix"]) < 12
        assert isinstance(self.end("EndpointOperInfo").get("Value") or {}, dict)
        made.add(link["SrcName"])
        self.end("Leave")
        for _ in range(2):
            self.end("DeleteEndpoint")
        self.ask("DeleteNetwork", NetworkID=_NETWORK)
        assert not made & links()

    def test_two_end_points_have_two_links(self) -> None:
        """Of different names."""
        self.make_network()
        names = []
        for endpoint in ("1" * 64, "2" * 64):
            self.end("CreateEndpoint", endpoint, Interface={}, Options={})
            names.append(
                self.end("Join", endpoint, SandboxKey="/proc/self/ns/net", Options={})["InterfaceName"]["SrcName"]
            )
        assert len(set(names)) == 2
        made = set(names)
        for endpoint in ("1" * 64, "2" * 64):
            self.end("Leave", endpoint)
            self.end("DeleteEndpoint", endpoint)
        self.ask("DeleteNetwork", NetworkID=_NETWORK)
        assert not made & links()

    def test_a_network_that_nobody_made_has_no_end_points(self) -> None:
        """It is refused, and leaves none to enter by."""
        self.refused("CreateEndpoint", NetworkID="9" * 64, EndpointID=_ENDPOINT, Interface={}, Options={})
        self.refused("Join", NetworkID="9" * 64, EndpointID=_ENDPOINT, SandboxKey="/proc/self/ns/net", Options={})

    def test_what_is_told_of_others_is_taken(self) -> None:
        """Nodes, and ports that the daemon publishes."""
        for method in ("DiscoverNew", "DiscoverDelete"):
            self.ask(method, DiscoveryType=1, DiscoveryData={"Address": "192.0.2.1", "self": True})


def links() -> set[str]:
    """The links of this process's network namespace."""
    return set(os.listdir("/sys/class/net"))
