"""Which container a parked slot can become."""

from dataclasses import replace

import pytest

from sampan.cgroups.plan import CgroupPlan
from sampan.runtime.pool import SlotPlan, fits
from sampan.runtime.request import LogSpec, StartRequest, Stdio
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId
from sampan.spec.rootfs import PlainRoot

CONFIG = oci.Config(process=oci.Process(args=("true",)))
LIMIT = ("unified", "pids.max", "5")
GROUPS = CgroupPlan({"unified": "/cg/docker/a"}, (LIMIT,), b"rules")
SLOT = SlotPlan(CONFIG, GROUPS, None)


def request(groups: CgroupPlan) -> StartRequest:
    return StartRequest(
        id=ContainerId("a"),
        config=CONFIG,
        root=PlainRoot("/nowhere"),
        stdio=Stdio(False, False, False),
        log=LogSpec(None),
        cgroup=groups,
    )


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (GROUPS, True),
        (replace(GROUPS, writes=(LIMIT, ("unified", "memory.max", "1"))), True),
        (replace(GROUPS, writes=()), False),
        (replace(GROUPS, groups={"unified": "/cg/elsewhere/a"}), False),
        # The slot's group bears its program already, and a second one could only take more away.
        (replace(GROUPS, device_program=b"other rules"), False),
        (replace(GROUPS, device_program=b""), False),
    ],
)
def test_control_groups_decide(groups: CgroupPlan, expected: bool) -> None:
    assert fits(request(groups), SLOT) is expected
