"""Every body has every property of its definition in the Engine API 1.51, with a type that can hold it.

`schema-1.51.json` is made from the published schema by `condense_schema.py`.
"""

import json
from pathlib import Path

import pytest
from msgspec import inspect

from sampan.spec import containers, events, execs, host_config, images, mounts, networks, ports, stats, system, volumes
from sampan.spec import oci_descriptor as oci
from sampan.spec.document import Document
from sampan.spec.health import Health, HealthcheckResult, HealthConfig

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "schema-1.51.json").read_text())

BODIES: dict[str, type[Document]] = {
    "Address": containers.Address,
    "Commit": system.Commit,
    "ConfigReference": networks.ConfigReference,
    "ContainerBlkioStatEntry": stats.BlkioEntry,
    "ContainerBlkioStats": stats.BlkioStats,
    "ContainerCPUStats": stats.CpuStats,
    "ContainerCPUUsage": stats.CpuUsage,
    "ContainerConfig": containers.ContainerConfig,
    "ContainerCreateRequest": containers.CreateRequest,
    "ContainerCreateResponse": containers.CreateResponse,
    "ContainerExecRequest": execs.ExecCreateRequest,
    "ContainerInspectResponse": containers.ContainerInspect,
    "ContainerMemoryStats": stats.MemoryStats,
    "ContainerNetworkStats": stats.NetworkStats,
    "ContainerPidsStats": stats.PidsStats,
    "ContainerPruneAnswer": containers.ContainersPruneReport,
    "ContainerState": containers.State,
    "ContainerStatsResponse": stats.StatsResponse,
    "ContainerStorageStats": stats.StorageStats,
    "ContainerSummary": containers.ContainerSummary,
    "ContainerSummary.HostConfig": containers.SummaryHostConfig,
    "ContainerSummary.NetworkSettings": containers.SummaryNetworkSettings,
    "ContainerThrottlingData": stats.Throttling,
    "ContainerTopResponse": containers.TopResponse,
    "ContainerUpdateRequest": host_config.UpdateRequest,
    "ContainerUpdateResponse": containers.UpdateResponse,
    "ContainerWaitExitError": containers.WaitExitError,
    "ContainerWaitResponse": containers.WaitResponse,
    "ContainerdInfo": system.ContainerdInfo,
    "ContainerdInfo.Namespaces": system.ContainerdNamespaces,
    "CreateImageInfo": images.Progress,
    "DeviceInfo": system.DeviceInfo,
    "DeviceMapping": host_config.DeviceMapping,
    "DeviceRequest": host_config.DeviceRequest,
    "DriverData": containers.DriverData,
    "EndpointIPAMConfig": networks.EndpointIPAMConfig,
    "EndpointSettings": networks.EndpointSettings,
    "ErrorDetail": images.ErrorDetail,
    "EventActor": events.Actor,
    "EventMessage": events.Message,
    "ExecInspectAnswer": execs.ExecInspect,
    "ExecStartRequest": execs.ExecStartRequest,
    "FirewallInfo": system.FirewallInfo,
    "Health": Health,
    "HealthConfig": HealthConfig,
    "HealthcheckResult": HealthcheckResult,
    "HostConfig": host_config.HostConfig,
    "HostConfig.BlkioWeightDevice": host_config.WeightDevice,
    "HostConfig.LogConfig": host_config.LogConfig,
    "HostConfig.Ulimits": host_config.Ulimit,
    "IDResponse": execs.ExecCreateResponse,
    "IPAM": networks.IPAM,
    "IPAMConfig": networks.IPAMConfig,
    "ImageConfig": images.ImageConfig,
    "ImageDeleteResponseItem": images.DeleteItem,
    "ImageHistoryResponseItem": images.HistoryItem,
    "ImageInspect": images.ImageInspect,
    "ImageInspect.Metadata": images.ImageMetadata,
    "ImageInspect.RootFS": images.RootFS,
    "ImageManifestSummary": images.ImageManifestSummary,
    "ImageManifestSummary.AttestationData": images.AttestationData,
    "ImageManifestSummary.ImageData": images.ImageData,
    "ImageManifestSummary.ImageData.Size": images.UnpackedSize,
    "ImageManifestSummary.Size": images.ManifestSize,
    "ImagePruneAnswer": images.ImagesPruneReport,
    "ImageSummary": images.ImageSummary,
    "IndexInfo": system.IndexInfo,
    "Mount": mounts.Mount,
    "Mount.BindOptions": mounts.BindOptions,
    "Mount.ImageOptions": mounts.ImageOptions,
    "Mount.TmpfsOptions": mounts.TmpfsOptions,
    "Mount.VolumeOptions": mounts.VolumeOptions,
    "Mount.VolumeOptions.DriverConfig": mounts.VolumeDriverConfig,
    "MountPoint": mounts.MountPoint,
    "Network": networks.Network,
    "NetworkContainer": networks.NetworkContainer,
    "NetworkSettings": containers.NetworkSettings,
    "NetworkingConfig": networks.NetworkingConfig,
    "OCIDescriptor": oci.Descriptor,
    "OCIPlatform": oci.Platform,
    "PeerInfo": networks.PeerInfo,
    "PeerNode": system.PeerNode,
    "PluginsInfo": system.PluginsInfo,
    "Port": ports.Port,
    "PortBinding": ports.PortBinding,
    "ProcessConfig": execs.ProcessConfig,
    "ProgressDetail": images.ProgressDetail,
    "RegistryServiceConfig": system.RegistryServiceConfig,
    "Resources": host_config.Resources,
    "RestartPolicy": host_config.RestartPolicy,
    "Runtime": system.Runtime,
    "SwarmInfo": system.SwarmInfo,
    "SystemInfo": system.Info,
    "SystemInfo.DefaultAddressPools": system.AddressPool,
    "SystemVersion": system.Version,
    "SystemVersion.Components": system.Component,
    "SystemVersion.Platform": system.PlatformName,
    "ThrottleDevice": host_config.ThrottleDevice,
    "Volume": volumes.Volume,
    "Volume.UsageData": volumes.UsageData,
    "VolumeCreateOptions": volumes.VolumeCreateRequest,
    "VolumeListResponse": volumes.VolumeList,
    "VolumePruneAnswer": volumes.VolumesPruneReport,
}

LEFT_OUT = {
    ("Resources", "Init"): "HostConfig's own, as in Docker's code",
    ("ContainerUpdateRequest", "Init"): "an update cannot change it",
    ("SwarmInfo", "Cluster"): "a node without swarm has none",
    ("Volume", "ClusterVolume"): "swarm's volumes",
    ("VolumeCreateOptions", "ClusterVolumeSpec"): "swarm's volumes",
}

SIMPLE: dict[str, type[inspect.Type]] = {
    "string": inspect.StrType,
    "integer": inspect.IntType,
    "boolean": inspect.BoolType,
}

LOOSE = {
    ("Volume", "Status"): "a driver's own words, kept as text",
    ("SystemVersion.Components", "Details"): "the schema says object, Docker sends text only",
    ("SystemInfo", "GenericResources"): "swarm's, always null here",
}


def unwrapped(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind.types[0]
    return kind


def holds(kind: inspect.Type, wanted: str) -> bool:
    kind = unwrapped(kind)
    if wanted.startswith("["):
        return isinstance(kind, inspect.VarTupleType) and holds(kind.item_type, wanted[1:-1])
    if wanted.startswith("{"):
        return isinstance(kind, inspect.DictType) and holds(kind.value_type, wanted[1:-1])
    if wanted in SIMPLE:
        return isinstance(kind, SIMPLE[wanted])
    if wanted in SCHEMA["definitions"]:
        return isinstance(kind, inspect.StructType)
    return isinstance(kind, inspect.StructType | inspect.DictType)


@pytest.mark.parametrize("name", BODIES)
def test_every_property_is_there(name: str) -> None:
    kind = inspect.type_info(BODIES[name])
    assert isinstance(kind, inspect.StructType)
    fields = {field.encode_name: field.type for field in kind.fields}
    for wanted, wanted_type in SCHEMA["definitions"][name].items():
        if (name, wanted) in LEFT_OUT:
            assert wanted not in fields, f"{name}.{wanted} is there now: take it off the list"
            continue
        assert wanted in fields, f"{name} lacks {wanted}"
        if (name, wanted) not in LOOSE:
            assert holds(fields[wanted], wanted_type), f"{name}.{wanted} cannot hold {wanted_type}"
