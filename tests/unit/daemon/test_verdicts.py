"""Every member that a create request can have in the published schema has a verdict, and each refusal an example."""

import json
from pathlib import Path

import pytest

from sampan.daemon.verdicts import CONFIG, ENDPOINT, HOST_CONFIG, MOUNT, Measure, Verdict
from sampan.spec.host_config import HostConfig

SCHEMA = json.loads((Path(__file__).parents[1] / "spec" / "schema-1.51.json").read_text())["definitions"]
OLDER = {"KernelMemory"}
"""Members of earlier versions that are read still."""
AT_START = {"NetworkMode"}
"""What create takes, as Docker does, and the start refuses."""


def mount_members() -> set[str]:
    groups = {name: SCHEMA[f"Mount.{name}"] for name in SCHEMA["Mount"] if name.endswith("Options")}
    plain = {name for name in SCHEMA["Mount"] if name not in groups}
    return plain | {f"{group}.{name}" for group, members in groups.items() for name in members}


def test_no_member_is_without_a_verdict() -> None:
    assert set(CONFIG) == set(SCHEMA["ContainerConfig"])
    assert set(HOST_CONFIG) == set(SCHEMA["HostConfig"]) | OLDER
    assert set(ENDPOINT) == set(SCHEMA["EndpointSettings"])
    assert set(MOUNT) == mount_members()


def test_a_verdict_is_of_a_member_that_is_read() -> None:
    read = set(HostConfig.__struct_encode_fields__)
    assert set(HOST_CONFIG) <= read


@pytest.mark.parametrize("table", [CONFIG, HOST_CONFIG, ENDPOINT, MOUNT], ids=["config", "host", "endpoint", "mount"])
def test_what_is_refused_has_a_reason_and_an_example(table: dict[str, Verdict]) -> None:
    for name, verdict in table.items():
        if verdict.measure is Measure.FULL:
            assert not verdict.refused, name
        else:
            assert verdict.note, name
            assert verdict.refused or name in AT_START, name
