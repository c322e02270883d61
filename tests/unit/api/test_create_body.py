"""What older clients ask for means what it meant to them."""

import pytest

from sampan.api.create_body import for_version
from sampan.api.versions import MAXIMUM
from sampan.errors import InvalidParameter
from sampan.spec.containers import CreateRequest
from sampan.spec.decoding import Reader
from sampan.spec.host_config import HostConfig
from sampan.spec.networks import EndpointSettings

READER = Reader(CreateRequest)
Version = tuple[int, ...]


def made(raw: str, version: Version = MAXIMUM) -> tuple[CreateRequest, tuple[str, ...]]:
    return for_version(READER.read(raw.encode()), version)


def host(raw: str, version: Version = MAXIMUM) -> HostConfig:
    found = made('{"Image":"a","HostConfig":' + raw + "}", version)[0].host_config
    assert found is not None
    return found


def endpoints(request: CreateRequest) -> dict[str, EndpointSettings | None]:
    assert request.networking_config is not None
    assert request.networking_config.endpoints_config is not None
    return request.networking_config.endpoints_config


@pytest.mark.parametrize(
    ("raw", "version", "attribute", "expected"),
    [
        ("{}", (1, 51), "network_mode", "bridge"),
        ('{"NetworkMode":"default"}', (1, 51), "network_mode", "bridge"),
        ('{"NetworkMode":"none"}', (1, 51), "network_mode", "none"),
        ('{"AutoRemove":true}', (1, 24), "auto_remove", False),
        ('{"AutoRemove":true}', (1, 25), "auto_remove", True),
        ("{}", (1, 39), "ipc_mode", "shareable"),
        ('{"IpcMode":"host"}', (1, 39), "ipc_mode", "host"),
        ("{}", (1, 40), "ipc_mode", ""),
        ('{"ConsoleSize":[5,6]}', (1, 41), "console_size", (0, 0)),
        ('{"ConsoleSize":[5,6]}', (1, 42), "console_size", (5, 6)),
        ('{"KernelMemory":5}', (1, 42), "kernel_memory", 0),
        ('{"KernelMemory":5}', (1, 41), "kernel_memory", 5),
        ('{"Annotations":{"a":"b"}}', (1, 42), "annotations", None),
        ('{"PidsLimit":0}', (1, 51), "pids_limit", None),
        ('{"PidsLimit":-1}', (1, 51), "pids_limit", None),
        ('{"PidsLimit":7}', (1, 51), "pids_limit", 7),
    ],
)
def test_host_config(raw: str, version: Version, attribute: str, expected: object) -> None:
    assert getattr(host(raw, version), attribute) == expected


def test_the_default_network_has_one_name() -> None:
    request, _ = made('{"NetworkingConfig":{"EndpointsConfig":{"default":{"Aliases":["a"]}}}}')
    assert endpoints(request) == {"bridge": EndpointSettings(aliases=("a",))}


def test_read_only_binds_were_not_recursive() -> None:
    mount = '{"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true}]}'
    old, new = host(mount, (1, 43)).mounts, host(mount, (1, 44)).mounts
    assert old is not None
    assert new is not None
    assert old[0].bind_options is not None
    assert old[0].bind_options.read_only_non_recursive
    assert new[0].bind_options is None


@pytest.mark.parametrize(
    ("mount", "version", "message"),
    [
        ('{"Type":"bind","VolumeOptions":{}}', (1, 42), 'VolumeOptions must not be specified on mount type "bind"'),
        ('{"Type":"volume","BindOptions":{}}', (1, 51), 'BindOptions must not be specified on mount type "volume"'),
        ('{"Type":"bind","TmpfsOptions":{}}', (1, 51), 'TmpfsOptions must not be specified on mount type "bind"'),
        (
            '{"Type":"volume","VolumeOptions":{"Subpath":"x"}}',
            (1, 44),
            "VolumeOptions.Subpath needs API v1.45 or newer",
        ),
        ('{"Type":"image"}', (1, 47), 'Mount type "Image" needs API v1.48 or newer'),
        (
            '{"Type":"bind","BindOptions":{"ReadOnlyForceRecursive":true}}',
            (1, 43),
            "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
        ),
    ],
)
def test_refused_mounts(mount: str, version: Version, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        host('{"Mounts":[' + mount + "]}", version)
    assert str(caught.value) == message


def test_stray_mount_options_were_ignored() -> None:
    mounts = host('{"Mounts":[{"Type":"bind","VolumeOptions":{"NoCopy":true}}]}', (1, 41)).mounts
    assert mounts is not None
    assert mounts[0].volume_options is None


def test_several_networks_need_1_44() -> None:
    raw = '{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}'
    with pytest.raises(InvalidParameter, match=r"^Container cannot be created with multiple network endpoints: a, b$"):
        made(raw, (1, 43))
    assert set(endpoints(made(raw, (1, 44))[0])) == {"a", "b"}


def test_an_end_point_that_is_null_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid config for network a: EndpointsConfig is nil$"):
        made('{"NetworkingConfig":{"EndpointsConfig":{"a":null}}}', (1, 51))


MAC = "02:42:ac:11:00:09"


@pytest.mark.parametrize(("version", "warned"), [((1, 43), False), ((1, 44), True), ((1, 51), True)])
def test_the_mac_address_moves_to_the_end_point(version: Version, warned: bool) -> None:
    request, warnings = made(f'{{"MacAddress":"{MAC}"}}', version)
    end = endpoints(request)["bridge"]
    assert end is not None
    assert end.mac_address == MAC
    assert bool(warnings) is warned
    assert (request.mac_address == "") is warned


def test_a_mac_address_conflicts() -> None:
    with pytest.raises(InvalidParameter, match=r"^conflicting options: mac-address and the network mode$"):
        made(f'{{"MacAddress":"{MAC}","HostConfig":{{"NetworkMode":"host"}}}}', (1, 43))
    with pytest.raises(InvalidParameter, match="must match the endpoint-specific MAC address"):
        made(f'{{"MacAddress":"{MAC}","NetworkingConfig":{{"EndpointsConfig":{{"bridge":{{"MacAddress":"x"}}}}}}}}')
    with pytest.raises(InvalidParameter, match="must match the identity of a network"):
        made(f'{{"MacAddress":"{MAC}","NetworkingConfig":{{"EndpointsConfig":{{"other":{{}}}}}}}}')


def test_start_interval_came_with_1_44() -> None:
    raw = '{"Healthcheck":{"Test":["CMD","x"],"StartInterval":5}}'
    for version, expected in (((1, 43), 0), ((1, 44), 5)):
        health = made(raw, version)[0].healthcheck
        assert health is not None
        assert health.start_interval == expected


def test_a_volume_driver_beside_mounts_is_warned_of() -> None:
    raw = '{"HostConfig":{"VolumeDriver":"x","Mounts":[{"Type":"volume","Target":"/a"}]}}'
    assert made(raw, (1, 47))[1] == ()
    assert made(raw, (1, 48))[1][0].startswith("WARNING: the container-wide volume-driver")
