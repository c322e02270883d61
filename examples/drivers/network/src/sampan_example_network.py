"""Networks whose end points are pairs of virtual links (ip-link(8), veth): the container gets one, the host keeps the other.

The host's ends of a network are on one bridge, `cb` and the network's id, which has the gateway's address.
"""

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from sampan.drivers.network import Interface, Joined, NetworkDriver, Subnet


class Cable(NetworkDriver):
    """What there is is written down in `networks.json`."""

    def __init__(self, home: Path) -> None:
        self._file = home / "networks.json"
        self._lock = threading.Lock()
        self._gateways: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def create_network(
        self, network: str, ipv4: tuple[Subnet, ...], ipv6: tuple[Subnet, ...], options: dict[str, Any]
    ) -> None:
        """A bridge with the gateway's address."""
        if ipv6:
            raise ValueError("the driver cable has no IPv6")
        gateway = ipv4[0].gateway if ipv4 else ""
        with self._lock:
            _ip("link", "add", _bridge(network), "type", "bridge")
            if gateway:
                _ip("address", "add", gateway, "dev", _bridge(network))
            _ip("link", "set", _bridge(network), "up")
            self._keep({**self._gateways, network: gateway})

    def delete_network(self, network: str) -> None:
        """With its bridge."""
        with self._lock:
            _remove(_bridge(network))
            self._keep({name: gateway for name, gateway in self._gateways.items() if name != network})

    def create_endpoint(self, network: str, endpoint: str, wanted: Interface, options: dict[str, Any]) -> Interface:
        """A pair, one end of it on the bridge. Addresses are the daemon's to choose."""
        if network not in self._gateways:
            raise LookupError(f"no such network: {network[:12]}")
        host, inner = _pair(endpoint)
        address = ["address", wanted.mac_address] if wanted.mac_address else []
        _ip("link", "add", host, "type", "veth", "peer", "name", inner, *address)
        _ip("link", "set", host, "master", _bridge(network), "up")
        return Interface()

    def delete_endpoint(self, network: str, endpoint: str) -> None:
        """Either end takes the other with it."""
        _remove(_pair(endpoint)[0])

    def join(self, network: str, endpoint: str, sandbox: str, options: dict[str, Any]) -> Joined:
        """The inner end, and the bridge as the way out."""
        return Joined(_pair(endpoint)[1], gateway=self._gateways[network].partition("/")[0])

    def leave(self, network: str, endpoint: str) -> None:
        """The end point's removal takes the link."""

    def _keep(self, gateways: dict[str, str]) -> None:
        self._gateways = gateways
        self._file.write_text(json.dumps(gateways))


def _bridge(network: str) -> str:
    return f"cb{network[:11]}"


def _pair(endpoint: str) -> tuple[str, str]:
    return f"ch{endpoint[:11]}", f"ci{endpoint[:11]}"


def _remove(link: str) -> None:
    if Path("/sys/class/net", link).exists():
        _ip("link", "delete", link)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
