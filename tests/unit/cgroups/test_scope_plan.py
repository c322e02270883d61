"""Scopes and slices: where they are, and what systemd is told."""

import pytest

from sampan.cgroups.hierarchy import Hierarchy
from sampan.cgroups.plan import plan
from sampan.cgroups.scope_plan import container_of, scope, slice_names, unit_name
from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime as oci

ID = "f" * 64
MB = 1 << 20
ALL = (1 << 64) - 1
V2 = Hierarchy({}, "/cg", frozenset({"cpu", "cpuset", "io", "memory", "pids"}))
V1 = Hierarchy({"cpu": "/cg/cpu", "memory": "/cg/memory", "systemd": "/cg/systemd"})


@pytest.mark.parametrize(
    ("parent", "names"),
    [
        ("", ["system.slice"]),
        ("machine.slice", ["machine.slice"]),
        ("a-b-c.slice", ["a.slice", "a-b.slice", "a-b-c.slice"]),
        ("-.slice", []),
    ],
)
def test_a_slice_lies_in_those_of_its_name(parent: str, names: list[str]) -> None:
    assert slice_names(parent) == names


@pytest.mark.parametrize(
    "parent", ["docker", "/a.slice", "a/b.slice", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a\n.slice"]
)
def test_what_is_no_slice(parent: str) -> None:
    with pytest.raises(InvalidParameter, match=r'should be a valid slice named as "xxx\.slice"'):
        slice_names(parent)


def test_the_groups_are_the_scope_s_in_each_tree() -> None:
    made = plan(V2, "i1", ID, "", oci.Resources(pids_limit=5), systemd=True)
    assert made.groups == {"unified": f"/cg/system.slice/docker-{ID}.scope"}
    assert (made.writes, made.mark) == ((("unified", "pids.max", "5"),), "i1")
    assert made.scope is not None
    assert made.scope.unit == unit_name(ID) == f"docker-{ID}.scope"
    below = f"a.slice/a-b.slice/docker-{ID}.scope"
    groups = plan(V1, "i1", ID, "a-b.slice", oci.Resources(), systemd=True).groups
    assert groups == {name: f"/cg/{name}/{below}" for name in ("cpu", "memory", "systemd")}
    assert container_of(f"docker-{ID}.scope") == ID
    assert container_of("session-1.scope") == ""


RESOURCES = oci.Resources(
    memory=oci.Memory(limit=64 * MB, swap=128 * MB, reservation=32 * MB),
    cpu=oci.Cpu(shares=1024, quota=25_000, period=50_000, cpus="0,2-3", mems="0"),
    pids_limit=5,
)


def test_what_systemd_is_told_of_limits() -> None:
    told = {name: value for name, _, value in scope(ID, "", RESOURCES, v2=True).limits}
    assert told == {
        "TasksMax": 5, "MemoryMax": 64 * MB, "MemoryLow": 32 * MB, "MemorySwapMax": 64 * MB, "CPUWeight": 100,
        "CPUQuotaPeriodUSec": 50_000, "CPUQuotaPerSecUSec": 500_000, "AllowedCPUs": [0b1101], "AllowedMemoryNodes": [1],
    }  # fmt: skip
    told = {name: value for name, _, value in scope(ID, "", RESOURCES, v2=False).limits}
    assert told == {
        "TasksMax": 5, "MemoryLimit": 64 * MB, "CPUShares": 1024, "CPUQuotaPeriodUSec": 50_000, "CPUQuotaPerSecUSec": 500_000,
    }  # fmt: skip


def test_without_limits_systemd_s_own_do_not_hold() -> None:
    unlimited = oci.Resources(memory=oci.Memory(limit=-1, swap=-1), cpu=oci.Cpu(quota=-1), pids_limit=-1)
    told = {name: value for name, _, value in scope(ID, "", unlimited, v2=True).limits}
    assert told == {"TasksMax": ALL, "MemoryMax": ALL, "MemorySwapMax": ALL, "CPUQuotaPerSecUSec": ALL}
    assert {name: value for name, _, value in scope(ID, "", oci.Resources(), v2=True).limits} == {"TasksMax": ALL}


def test_a_quota_is_rounded_up_to_a_whole_per_cent() -> None:
    third = oci.Resources(cpu=oci.Cpu(quota=33_333, period=100_000))
    assert ("CPUQuotaPerSecUSec", "t", 340_000) in scope(ID, "", third, v2=True).limits


def test_the_unit() -> None:
    told = {name: value for name, _, value in scope(ID, "a.slice", oci.Resources(), v2=True).properties}
    assert (told["Slice"], told["Delegate"], told["DefaultDependencies"], told["CollectMode"]) == (
        "a.slice", True, False, "inactive-or-failed",
    )  # fmt: skip
