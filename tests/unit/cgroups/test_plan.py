"""Resources as directories and writes, on each kind of host."""

import pytest

from sampan.cgroups.change import difference
from sampan.cgroups.conversions import swap_alone, weight
from sampan.cgroups.hierarchy import Hierarchy
from sampan.cgroups.plan import parse_parent, place, plan
from sampan.errors import InvalidParameter, System
from sampan.spec import oci_runtime as oci

NAMES = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids", "blkio")
V1 = Hierarchy({name: f"/cg/{name}" for name in NAMES})
HYBRID = Hierarchy(V1.v1, "/cg/unified", frozenset({"hugetlb"}))
V2 = Hierarchy({}, "/cg", frozenset({"cpu", "cpuset", "io", "memory", "pids"}))
ID = "f" * 64

MB = 1 << 20


def writes(hierarchy: Hierarchy, resources: oci.Resources) -> list[str]:
    made = plan(hierarchy, "i1", ID, "", resources)
    assert {controller for controller, _, _ in made.writes} <= set(made.groups)
    assert all(controller == "unified" or file.startswith(controller) for controller, file, _ in made.writes)
    return [f"{file}={text}" for _, file, text in made.writes]


@pytest.mark.parametrize(
    ("resources", "v1", "v2"),
    [
        (oci.Resources(), [], []),
        (
            oci.Resources(memory=oci.Memory(limit=64 * MB, swap=128 * MB)),
            [f"memory.limit_in_bytes={64 * MB}", f"memory.memsw.limit_in_bytes={128 * MB}"],
            [f"memory.swap.max={64 * MB}", f"memory.max={64 * MB}"],
        ),
        (
            oci.Resources(memory=oci.Memory(limit=64 * MB, swap=-1, reservation=32 * MB)),
            [
                f"memory.limit_in_bytes={64 * MB}",
                "memory.memsw.limit_in_bytes=-1",
                f"memory.soft_limit_in_bytes={32 * MB}",
            ],
            ["memory.swap.max=max", f"memory.max={64 * MB}", f"memory.low={32 * MB}"],
        ),
        (
            oci.Resources(memory=oci.Memory(limit=-1)),
            ["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
            ["memory.swap.max=max", "memory.max=max"],
        ),
        (
            oci.Resources(cpu=oci.Cpu(shares=512, quota=50000, period=100000)),
            ["cpu.shares=512", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"],
            ["cpu.weight=59", "cpu.max=50000 100000"],
        ),
        (oci.Resources(cpu=oci.Cpu(quota=-1)), ["cpu.cfs_quota_us=-1"], ["cpu.max=max 100000"]),
        (oci.Resources(cpu=oci.Cpu(period=50000)), ["cpu.cfs_period_us=50000"], ["cpu.max=max 50000"]),
        (
            oci.Resources(cpu=oci.Cpu(cpus="0-1", mems="0")),
            ["cpuset.cpus=0-1", "cpuset.mems=0"],
            ["cpuset.cpus=0-1", "cpuset.mems=0"],
        ),
        (oci.Resources(pids_limit=100), ["pids.max=100"], ["pids.max=100"]),
        (oci.Resources(pids_limit=0), ["pids.max=max"], ["pids.max=max"]),
        (oci.Resources(pids_limit=-1), ["pids.max=max"], ["pids.max=max"]),
        (oci.Resources(blkio_weight=300), ["blkio.bfq.weight=300"], ["io.bfq.weight=300"]),
        (
            oci.Resources(
                block_limits=(
                    oci.BlockLimit("weight", 8, 0, 200),
                    oci.BlockLimit("read_bps", 8, 0, 1 << 20),
                    oci.BlockLimit("write_bps", 8, 0, 0),
                    oci.BlockLimit("read_iops", 8, 16, 30),
                    oci.BlockLimit("write_iops", 8, 16, 40),
                )
            ),
            [
                "blkio.bfq.weight_device=8:0 200",
                f"blkio.throttle.read_bps_device=8:0 {1 << 20}",
                "blkio.throttle.write_bps_device=8:0 0",
                "blkio.throttle.read_iops_device=8:16 30",
                "blkio.throttle.write_iops_device=8:16 40",
            ],
            [
                "io.bfq.weight=8:0 200",
                f"io.max=8:0 rbps={1 << 20}",
                "io.max=8:0 wbps=max",
                "io.max=8:16 riops=30",
                "io.max=8:16 wiops=40",
            ],
        ),
    ],
)
def test_limits(resources: oci.Resources, v1: list[str], v2: list[str]) -> None:
    assert writes(V1, resources) == v1
    assert writes(HYBRID, resources) == v1
    assert writes(V2, resources) == v2


def test_the_weight_of_block_io_without_bfq() -> None:
    bare = Hierarchy({}, "/cg", V2.v2_controllers, v2_weight="io.weight")
    assert writes(bare, oci.Resources(blkio_weight=10)) == ["io.weight=default 1"]
    assert writes(bare, oci.Resources(blkio_weight=1000)) == ["io.weight=default 10000"]


@pytest.mark.parametrize(
    ("shares", "why"), [(1, "minimum allowed cpu-shares is 2"), (262145, "maximum allowed cpu-shares")]
)
def test_shares_that_the_kernel_would_change_in_silence(shares: int, why: str) -> None:
    resources = oci.Resources(cpu=oci.Cpu(shares=shares))
    with pytest.raises(System, match=why):
        plan(V1, "i1", ID, "", resources)
    assert writes(V2, resources) == [f"cpu.weight={1 if shares == 1 else 10000}"]


def test_limits_that_only_v1_has() -> None:
    tcp = oci.Resources(kernel_tcp=MB)
    assert writes(V1, tcp) == [f"memory.kmem.tcp.limit_in_bytes={MB}"]
    memory = oci.Resources(memory=oci.Memory(swappiness=0, disable_oom_killer=True))
    assert writes(V1, memory) == ["memory.swappiness=0", "memory.oom_control=1"]
    realtime = oci.Resources(cpu=oci.Cpu(realtime_runtime=1, realtime_period=2))
    assert writes(V1, realtime) == ["cpu.rt_period_us=2", "cpu.rt_runtime_us=1"]
    for resources in (memory, realtime, tcp):
        with pytest.raises(System, match="cgroup v2 has no such setting"):
            plan(V2, "i1", ID, "", resources)


@pytest.mark.parametrize(
    ("resources", "controller"),
    [
        (oci.Resources(memory=oci.Memory(limit=64 * MB)), "memory"),
        (oci.Resources(cpu=oci.Cpu(shares=2)), "cpu"),
        (oci.Resources(cpu=oci.Cpu(cpus="0")), "cpuset"),
        (oci.Resources(pids_limit=5), "pids"),
        (oci.Resources(blkio_weight=500), "blkio"),
        (oci.Resources(block_limits=(oci.BlockLimit("read_bps", 8, 0, 1),)), "blkio"),
        (oci.Resources(devices=(oci.DeviceRule(allow=False),)), "devices"),
    ],
)
def test_what_cannot_be_enforced_is_refused(resources: oci.Resources, controller: str) -> None:
    bare = Hierarchy({"freezer": "/cg/freezer"})
    with pytest.raises(System, match=f"controller {controller} is not mounted"):
        plan(bare, "i1", ID, "", resources)


def test_device_rules_go_where_devices_are() -> None:
    resources = oci.Resources(
        devices=(oci.DeviceRule(allow=False), oci.DeviceRule(allow=True, type="c", major=1, minor=3))
    )
    assert writes(V1, resources) == ["devices.deny=a", "devices.allow=c 1:3 rwm"]
    assert plan(V1, "i1", ID, "", resources).device_program == b""
    assert writes(V2, resources) == []
    assert plan(V2, "i1", ID, "", resources).device_program
    without = Hierarchy({"memory": "/cg/memory"}, "/cg/unified")
    assert plan(without, "i1", ID, "", resources).device_program == plan(V2, "i1", ID, "", resources).device_program


def test_a_controller_that_is_only_on_v2_of_a_hybrid_host() -> None:
    hybrid = Hierarchy({"cpu": "/cg/cpu"}, "/cg/unified", frozenset({"memory"}))
    made = plan(hybrid, "i1", ID, "", oci.Resources(memory=oci.Memory(limit=64 * MB)))
    assert made.writes == (("unified", "memory.max", str(64 * MB)),)


def test_place() -> None:
    assert place(V2, "i1", ID) == {"unified": f"/cg/docker/{ID}"}
    assert place(HYBRID, "i1", ID)["memory"] == f"/cg/memory/docker/{ID}"
    assert list(place(HYBRID, "i1", ID)) == [*NAMES, "unified"]
    assert place(V2, "i1", ID, "/ci//jobs/")["unified"] == f"/cg/ci/jobs/sampan-i1/{ID}"
    with pytest.raises(System, match="no control groups are mounted"):
        place(Hierarchy({}), "i1", ID)


@pytest.mark.parametrize("parent", ["..", "a/../b", ".", "/a/./b", "a\nb", "a\0b", "x" * 256, "/".join("a" * 17)])
def test_parents_that_lead_elsewhere(parent: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid cgroup parent"):
        parse_parent(parent)


@pytest.mark.parametrize(("memory", "both", "alone"), [(5, 5, 0), (5, 8, 3), (0, -1, -1), (5, -1, -1)])
def test_swap_alone(memory: int, both: int, alone: int) -> None:
    assert swap_alone(memory, both) == alone


@pytest.mark.parametrize(("memory", "both"), [(0, 8), (-1, 8), (8, 5)])
def test_swap_that_makes_no_sense(memory: int, both: int) -> None:
    with pytest.raises(InvalidParameter):
        swap_alone(memory, both)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [(1, 1), (2, 1), (10, 4), (512, 59), (1024, 100), (2000, 170), (262144, 10000), (1 << 40, 10000)],
)
def test_weight(shares: int, expected: int) -> None:
    """2000 → 170 is what runc's own change tells (runc issue 4896)."""
    assert weight(shares) == expected


def test_difference_is_what_the_later_plan_has_and_the_earlier_has_not() -> None:
    before = plan(V1, "i1", ID, "", oci.Resources(memory=oci.Memory(limit=64 * MB, swap=128 * MB), pids_limit=9))
    after = plan(
        V1, "i1", ID, "", oci.Resources(memory=oci.Memory(limit=32 * MB, swap=128 * MB), cpu=oci.Cpu(shares=5))
    )
    assert difference(before.writes, after.writes) == (
        ("memory", "memory.limit_in_bytes", str(32 * MB)),
        ("cpu", "cpu.shares", "5"),
    )
    assert difference(after.writes, after.writes) == ()


def test_without_groups_where_they_are_optional() -> None:
    """An ordinary user's containers: device rules are the kernel's, and a limit that was taken off needs no controller."""
    nothing = Hierarchy({}, optional=True, guards_devices=False)
    rules = (oci.DeviceRule(allow=False),)
    made = plan(nothing, "i1", ID, "", oci.Resources(devices=rules, memory=oci.Memory(swap=-1)))
    assert (made.groups, made.writes, made.device_program) == ({}, (), b"")
    with pytest.raises(System, match="memory limits cannot be enforced"):
        plan(nothing, "i1", ID, "", oci.Resources(memory=oci.Memory(limit=64 * MB)))
    with pytest.raises(System, match="no control groups are mounted"):
        place(Hierarchy({}), "i1", ID)
    given = Hierarchy({}, "/cg/mine", frozenset({"memory"}), guards_devices=False)
    assert plan(given, "i1", ID, "", oci.Resources(devices=rules)).device_program == b""


def test_real_time_is_given_to_the_groups_above_from_the_top_down() -> None:
    asks = oci.Resources(cpu=oci.Cpu(realtime_runtime=1000))
    budget = (1_000_000, 500_000)
    found = plan(HYBRID, "abc", "c1", "/one/two", asks, budget=budget).writes
    above = [
        ("cpu", f"{way}{file}", text)
        for way in ("../../../", "../../", "../")
        for file, text in (("cpu.rt_period_us", "1000000"), ("cpu.rt_runtime_us", "500000"))
    ]
    assert [write for write in found if "rt_" in write[1]] == [*above, ("cpu", "cpu.rt_runtime_us", "1000")]
    assert plan(HYBRID, "abc", "c1", "", asks, budget=(0, 7)).writes[0] == ("cpu", "../cpu.rt_runtime_us", "7")
    assert not any("../" in name for _, name, _ in plan(HYBRID, "abc", "c1", "", oci.Resources(), budget=budget).writes)
