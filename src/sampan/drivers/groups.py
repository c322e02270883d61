"""The groups of entry points, and what the plugin protocol calls the kind of driver that each declares."""

from collections.abc import Mapping
from types import MappingProxyType

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "sampan.volume": "VolumeDriver",
        "sampan.network": "NetworkDriver",
        "sampan.ipam": "IpamDriver",
        "sampan.log": "LogDriver",
        "sampan.authorization": "authz",
        "sampan.snapshot": "SnapshotDriver",
        "sampan.frontend": "BuildFrontEnd",
    }
)
