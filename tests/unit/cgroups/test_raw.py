"""Control files by their own names: what is one, and where it is written."""

import pytest

from sampan.cgroups import raw
from sampan.cgroups.hierarchy import Hierarchy
from sampan.errors import InvalidParameter, System

V1 = Hierarchy({"memory": "/cg/memory", "hugetlb": "/cg/hugetlb"})
HYBRID = Hierarchy(V1.v1, "/cg/unified", frozenset({"rdma"}))
V2 = Hierarchy({}, "/cg", frozenset({"cpu", "hugetlb", "io", "memory", "rdma"}))


@pytest.mark.parametrize(
    "key",
    [
        *(
            "",
            "memory",
            "memory.",
            ".high",
            "memory..high",
            "memory.high\n",
            "Memory.high",
            "memory.hi/gh",
            "../memory.max",
        ),
        *(
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.freeze",
            "freezer.state",
            "devices.allow",
            "tasks",
            "m\0.x",
        ),
        *("memory.pressure/../x", "perf_event.x", f"memory.{'x' * 65}", "memory" + ".x" * 7),
    ],
)
def test_what_is_no_control_file_of_a_limit(key: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid control file"):
        raw.check({key: "1"})


@pytest.mark.parametrize("value", ["", "1\n2", "é", "x" * 1025, "1\0"])
def test_what_is_no_value(value: str) -> None:
    with pytest.raises(InvalidParameter, match=r"invalid value for memory\.high"):
        raw.check({"memory.high": value})


def test_no_more_than_anybody_needs() -> None:
    raw.check({f"memory.x{number}": "1" for number in range(64)})
    with pytest.raises(InvalidParameter, match="65 control files are too many"):
        raw.check({f"memory.x{number}": "1" for number in range(65)})


def test_each_key_goes_to_the_tree_that_has_its_controller() -> None:
    asked = {"hugetlb.2MB.max": "0", "rdma.max": "mlx hca_handle=2"}
    assert list(raw.writes(V2, asked)) == [("unified", key, value) for key, value in asked.items()]
    assert list(raw.writes(HYBRID, {**asked, "memory.high": "1"})) == [
        ("hugetlb", "hugetlb.2MB.max", "0"),
        ("unified", "rdma.max", "mlx hca_handle=2"),
        ("memory", "memory.high", "1"),
    ]
    with pytest.raises(System, match="the control group controller rdma is not mounted"):
        list(raw.writes(V1, {"rdma.max": "x"}))
