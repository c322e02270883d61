"""A registry's folder below `certs.d`: its authorities and our certificates by their names, and `hosts.toml` where there is one.

certs.d/registry.example:5000/  ca.crt … authorities    x.cert + x.key … ours    hosts.toml … where to ask (hosts_toml)
"""

import os
from pathlib import Path

from sampan.errors import System

Pairs = tuple[tuple[Path, Path], ...]


def folder(places: tuple[Path, ...], address: str) -> Path | None:
    """The folder of `address` (host or host:port) in the first of `places` that has one; `_default` counts for all others.

    The spelling `host_port_` is containerd's, for file systems without colons.
    """
    names = [address]
    if ":" in address and not address.startswith("["):
        names.append(address.replace(":", "_") + "_")
    for name in (*names, "_default"):
        for place in places:
            if (place / name).is_dir():
                return place / name
    return None


def certificates(place: Path) -> tuple[tuple[Path, ...], Pairs]:
    """(authorities, our pairs) in a folder, in the order of their names. Raises System where half of a pair is missing."""
    try:
        names = sorted(os.listdir(place))
    except OSError as error:
        raise System(f"certificates of a registry: open {place}: {(error.strerror or '').lower()}") from error
    authorities = tuple(place / name for name in names if name.endswith(".crt"))
    pairs = []
    for name in names:
        if name.endswith(".cert"):
            key = name.removesuffix(".cert") + ".key"
            if key not in names:
                raise System(
                    f"missing key {key} for client certificate {name}. CA certificates must use the extension .crt"
                )
            pairs.append((place / name, place / key))
        elif name.endswith(".key") and name.removesuffix(".key") + ".cert" not in names:
            raise System(f"missing client certificate {name.removesuffix('.key')}.cert for key {name}")
    return authorities, tuple(pairs)
