"""Addresses written down in one file, `ledger.json`: pools by id, and the addresses of each that are given away.

A network that names no range gets a /24 of 10.64.0.0/16.
"""

import json
import os
import threading
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

from sampan.drivers.ipam import IpamDriver, Pool

_OWN = ip_network("10.64.0.0/16")
Network = IPv4Network | IPv6Network


class Ledger(IpamDriver):
    """The file is replaced as a whole before an answer is given."""

    def __init__(self, home: Path) -> None:
        self._file = home / "ledger.json"
        self._lock = threading.Lock()
        self._pools: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            self._pools = json.loads(self._file.read_text())

    def request_pool(self, space: str, pool: str, sub_pool: str, options: Mapping[str, str], *, ipv6: bool) -> Pool:
        """The range that is named, or the next one that is free."""
        with self._lock:
            taken = [ip_network(one["range"]) for one in self._pools.values()]
            if pool:
                chosen: Network = ip_network(pool)
                if any(_overlap(chosen, other) for other in taken):
                    raise ValueError(f"{pool} overlaps a range that is in use")
            elif ipv6:
                raise ValueError("IPv6 ranges have to be named: --subnet")
            else:
                chosen = _free(taken)
            self._pools[str(chosen)] = {"range": str(chosen), "part": sub_pool or str(chosen), "given": []}
            self._write()
        return Pool(id=str(chosen), pool=str(chosen))

    def release_pool(self, pool: str) -> None:
        """Free already is no fault."""
        with self._lock:
            self._pools.pop(pool, None)
            self._write()

    def request_address(self, pool: str, address: str, options: Mapping[str, str]) -> str:
        """The one that is named, or the lowest that is free."""
        with self._lock:
            entry = self._pools.get(pool)
            if entry is None:
                raise LookupError(f"no such pool: {pool}")
            whole = ip_network(entry["range"])
            if address:
                if ip_address(address) not in whole:
                    raise ValueError(f"{address} is not in {whole}")
                if address in entry["given"]:
                    raise ValueError(f"{address} is in use")
            else:
                address = next(
                    (str(one) for one in ip_network(entry["part"]).hosts() if str(one) not in entry["given"]), ""
                )
                if not address:
                    raise ValueError(f"no address of {entry['part']} is free")
            entry["given"].append(address)
            self._write()
        return f"{address}/{whole.prefixlen}"

    def release_address(self, pool: str, address: str) -> None:
        """Free already is no fault."""
        with self._lock:
            entry = self._pools.get(pool)
            if entry is not None and address in entry["given"]:
                entry["given"].remove(address)
                self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._pools))
        os.replace(fresh, self._file)


def _free(taken: list[Network]) -> Network:
    for candidate in _OWN.subnets(new_prefix=24):
        if not any(_overlap(candidate, other) for other in taken):
            return candidate
    raise ValueError(f"no range of {_OWN} is free")


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
