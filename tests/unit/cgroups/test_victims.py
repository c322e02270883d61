"""Records of the kernel's log that name who was killed, and those that only look like it."""

import pytest

from sampan.cgroups.victims import Victim, parse

HEAD = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,oom_memcg=/docker/c"


@pytest.mark.parametrize(
    ("record", "victim"),
    [
        (f"6,1,2,-;{HEAD},task_memcg=/docker/c,task=dd,pid=71,uid=0\n SUBSYSTEM=x\n", Victim("/docker/c", "dd", 71)),
        (
            f"6,1,2,-;{HEAD},task_memcg=/docker/c/a,task=a,pid=9,uid=1,pid=12,uid=0\n",
            Victim("/docker/c/a", "a,pid=9,uid=1", 12),
        ),
        (f"6,1,2,c;{HEAD},task_memcg=/a,task=,pid=1,uid=4294967295", Victim("/a", "", 1)),
        # A program with access to the log writes with a facility of its own.
        (f"14,1,2,-;{HEAD},task_memcg=/docker/c,task=dd,pid=71,uid=0\n", None),
        ("6,1,2,-;Memory cgroup out of memory: Killed process 71 (dd)", None),
        ("6,1,2,-;usb 1-1: new device", None),
        (f"{HEAD},task_memcg=/docker/c,task=dd,pid=71,uid=0", None),
        ("", None),
        (";", None),
    ],
)
def test_records(record: str, victim: Victim | None) -> None:
    assert parse(record) == victim


def test_as_it_is_told() -> None:
    assert str(Victim("/docker/c", "dd", 71)) == "dd (71)"
