"""A network and IPAM driver for tests: veth pairs between containers and a bridge of its own, addresses counted by hand."""

import subprocess
from typing import Any

from tests.plugin_servers import Handler


def ip(*words: str, within: tuple[str, ...] = ()) -> None:
    """iproute2; a link that is gone already is no fault of a deletion."""
    done = subprocess.run([*within, "ip", *words], capture_output=True, text=True, check=False)
    if done.returncode and words[:2] != ("link", "delete"):
        raise AssertionError(f"ip {' '.join(words)}: {done.stderr}")


class NetworkPlugin:
    """Answers by method. `bridge` is the name of its link; `gateway` what containers are told of the way out."""

    def __init__(self, bridge: str) -> None:
        self.bridge = bridge
        self.gateway = ""
        self.within: tuple[str, ...] = ()
        """what to put before `ip` for an engine in a network namespace of its own"""
        self.joined: dict[str, Any] = {}
        """more members of the answer of Join"""
        self.inside = ""
        """an address that the container's end has already when Join is answered"""
        self.created: dict[str, Any] = {}
        """the answer of CreateEndpoint"""

    def answers(self) -> dict[str, Handler | dict[str, Any]]:
        return {
            "NetworkDriver.GetCapabilities": {"Scope": "local"},
            "NetworkDriver.CreateNetwork": self.create,
            "NetworkDriver.DeleteNetwork": self.delete,
            "NetworkDriver.CreateEndpoint": lambda _: self.created,
            "NetworkDriver.DeleteEndpoint": self.delete_endpoint,
            "NetworkDriver.EndpointOperInfo": {"Value": {}},
            "NetworkDriver.Join": self.join,
            "NetworkDriver.Leave": {},
            "NetworkDriver.ProgramExternalConnectivity": {},
            "NetworkDriver.RevokeExternalConnectivity": {},
        }

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        self._ip("link", "add", self.bridge, "type", "bridge")
        self._ip("link", "set", self.bridge, "up")
        for data in body["IPv4Data"]:
            if data.get("Gateway"):
                self._ip("address", "add", data["Gateway"], "dev", self.bridge)
                self.gateway = data["Gateway"].partition("/")[0]
        return {}

    def delete(self, _: dict[str, Any]) -> dict[str, Any]:
        self._ip("link", "delete", self.bridge)
        return {}

    def _ip(self, *words: str) -> None:
        ip(*words, within=self.within)

    @staticmethod
    def link(endpoint: str) -> str:
        return f"tp{endpoint[:8]}"

    def join(self, body: dict[str, Any]) -> dict[str, Any]:
        link = self.link(body["EndpointID"])
        self._ip("link", "add", f"{link}h", "type", "veth", "peer", "name", link)
        self._ip("link", "set", f"{link}h", "master", self.bridge, "up")
        if self.inside:
            self._ip("address", "add", self.inside, "dev", link)
            self._ip("link", "set", link, "up")
        return {
            "InterfaceName": {"SrcName": link, "DstPrefix": "net"},
            "Gateway": self.gateway,
            "StaticRoutes": [{"Destination": "10.99.0.0/16", "RouteType": 1}],
            **self.joined,
        }

    def delete_endpoint(self, body: dict[str, Any]) -> dict[str, Any]:
        self._ip("link", "delete", f"{self.link(body['EndpointID'])}h")
        return {}


class IpamPlugin:
    """One pool, addresses from its second on."""

    def __init__(self, pool: str = "10.213.40.0/24") -> None:
        self.pool = pool
        self.next = 1
        self.answer = ""
        """what is answered in place of the next address"""

    def answers(self) -> dict[str, Handler | dict[str, Any]]:
        return {
            "IpamDriver.GetCapabilities": {"RequiresMACAddress": False},
            "IpamDriver.GetDefaultAddressSpaces": {
                "LocalDefaultAddressSpace": "here",
                "GlobalDefaultAddressSpace": "there",
            },
            "IpamDriver.RequestPool": lambda body: {"PoolID": "the-pool", "Pool": body["Pool"] or self.pool},
            "IpamDriver.ReleasePool": {},
            "IpamDriver.RequestAddress": self.address,
            "IpamDriver.ReleaseAddress": {},
        }

    def address(self, body: dict[str, Any]) -> dict[str, Any]:
        base, _, bits = self.pool.partition("/")
        if self.answer:
            return {"Address": self.answer}
        if body["Address"]:
            return {"Address": f"{body['Address']}/{bits}"}
        self.next += 1
        return {"Address": f"{base.rpartition('.')[0]}.{self.next}/{bits}"}
