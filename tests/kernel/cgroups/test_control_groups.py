"""Control groups on the running kernel: limits that bite, processes that stop and die, groups that go.

Each test has groups of its own, below an instance of its own. A hybrid host plays three: as it is, its v1 trees alone, and its v2
tree alone.
"""

import errno
import mmap
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sampan.cgroups import apply, change, ending, leftovers
from sampan.cgroups.gauges import MOST_FILES, Gauges
from sampan.cgroups.hierarchy import Hierarchy, detect
from sampan.cgroups.means import instance_groups, probe
from sampan.cgroups.oom import OomNotices
from sampan.cgroups.plan import CgroupPlan, plan
from sampan.kernel.bpf import attached_device_programs, load_device_program
from sampan.kernel.namespaces import Clone, clone3
from sampan.spec import oci_runtime as oci
from tests.requires import requires
from tests.squeezing import limited

pytestmark = requires("root", "cgroup:memory", "cgroup:cpu", "cgroup:cpuset", "cgroup:pids", "cgroup:devices")

only_v1 = requires("cgroup_v1:memory", "cgroup_v1:cpuset", "cgroup_v1:freezer")
only_hybrid = requires("cgroup_v1:freezer", "cgroup_v2")

INSTANCE = f"test{os.getpid()}"
MB = 1 << 20
DENY_ALL = oci.DeviceRule(allow=False)
NULL = oci.DeviceRule(allow=True, type="c", major=1, minor=3)

HOSTS: dict[str, Callable[[Hierarchy], Hierarchy]] = {
    "as-it-is": lambda host: host,
    "v1": lambda host: Hierarchy(host.v1),
    "v2": lambda host: Hierarchy({}, host.v2, host.v2_controllers),
}
on_each_host = pytest.mark.parametrize(
    "host", ["as-it-is", pytest.param("v1", marks=only_v1), pytest.param("v2", marks=requires("cgroup_v2"))]
)

on_hosts_with_controllers = pytest.mark.parametrize("host", ["as-it-is", pytest.param("v1", marks=only_v1)])
"""The v2 tree of a hybrid host has none; what is v2 alone runs these as it is (`on_v2`)."""


class Container:
    """Groups, and the processes that were put into them."""

    def __init__(self, hierarchy: Hierarchy, resources: oci.Resources) -> None:
        self.hierarchy = hierarchy
        self.plan: CgroupPlan = plan(hierarchy, INSTANCE, "c" * 64, "", resources)
        self.groups = self.plan.groups
        self.children: list[int] = []
        apply.create(self.groups, self.plan.mark)
        apply.write(self.groups, self.plan.writes)
        if self.plan.device_program:
            apply.guard_devices(self.groups, self.plan.device_program)

    def file(self, controller: str, name: str) -> Path:
        """A control file, in the tree that has the controller here."""
        return Path(self.groups[controller if controller in self.groups else "unified"], name)

    def start(self, program: Callable[[], int]) -> int:
        """Run `program` in a child that stands in the groups."""
        birthplace, tasks = apply.open_birthplace(self.groups), apply.open_tasks(self.groups)
        entered, says = os.pipe()
        child, pidfd = clone3(Clone(0), birthplace)
        if child == 0:
            code = 99
            try:
                apply.step_in(tasks)
                os.write(says, b"i")
                code = program()
            finally:
                os._exit(code)
        self.children.append(child)
        assert os.read(entered, 1) == b"i"
        for descriptor in (entered, says, pidfd, *tasks, *([birthplace] if birthplace >= 0 else [])):
            os.close(descriptor)
        return child

    def run(self, program: Callable[[], int]) -> int:
        """The exit code of `program`, or minus the signal that ended it."""
        child = self.start(program)
        self.children.remove(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def end(self) -> None:
        apply.kill(self.groups)
        while self.children:
            os.waitpid(self.children.pop(), 0)
        apply.remove(self.groups)


Make = Callable[..., Container]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Container] = []
    real = detect()

    def maker(resources: oci.Resources | None = None, host: str = "as-it-is") -> Container:
        made.append(Container(HOSTS[host](real), resources or oci.Resources()))
        return made[-1]

    yield maker
    for container in made:
        container.end()
    assert leftovers.retire(real, INSTANCE)
    assert not any(os.path.exists(path) for path in instance_groups(real, INSTANCE).values())


def until(ready: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def sleep() -> int:
    while True:
        time.sleep(60)


def fork_bomb() -> int:
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.001)


@on_each_host
def test_a_process_stands_in_every_hierarchy(make: Make, host: str) -> None:
    container = make(host=host)
    child = container.start(sleep)
    stands = Path(f"/proc/{child}/cgroup").read_text().count(f"/docker/{'c' * 64}\n")
    assert stands == len(set(container.groups.values()))
    assert apply.procs(container.groups) == [child]
    apply.create(container.groups)
    assert apply.procs(container.groups) == [child], "making them again changes nothing"


def test_the_doors_are_not_inherited_and_stepping_in_shuts_them(make: Make) -> None:
    container = make()
    tasks = apply.open_tasks(container.groups)
    assert not any(os.get_inheritable(descriptor) for descriptor in tasks)
    child = os.fork()
    if child == 0:
        apply.step_in(tasks)
        os._exit(len([descriptor for descriptor in tasks if os.path.exists(f"/proc/self/fd/{descriptor}")]))
    for descriptor in tasks:
        os.close(descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert apply.procs(container.groups) == []


def test_a_new_cpuset_lets_its_parents_processors_in(make: Make) -> None:
    container = make(oci.Resources(cpu=oci.Cpu(cpus="0")))
    assert container.file("cpuset", "cpuset.cpus").read_text().strip() == "0"
    if "cpuset" in container.groups:
        mems = container.file("cpuset", "cpuset.mems")
        assert mems.read_text() == (mems.parents[1] / "cpuset.mems").read_text() != "\n"
    assert container.run(lambda: len(os.sched_getaffinity(0))) == 1


@only_v1
def test_a_cpuset_below_a_parent_that_somebody_else_made_is_filled_too() -> None:
    parent = Path(detect().v1["cpuset"]) / f"sampan-{INSTANCE}-other"
    parent.mkdir()
    groups = {"cpuset": str(parent / "x")}
    try:
        apply.create(groups)
        assert (parent / "x" / "cpuset.cpus").read_text().strip()
    finally:
        apply.remove(groups)
        parent.rmdir()


def test_too_much_memory_is_killed_and_counted(make: Make) -> None:
    container = make(oci.Resources(memory=oci.Memory(limit=32 * MB, swap=32 * MB)))
    assert container.run(lambda: len(bytearray(8 * MB)) & 1) == 0
    assert apply.oom_kills(container.groups) == 0
    assert container.run(lambda: len(bytearray(64 * MB))) == -signal.SIGKILL
    assert apply.oom_kills(container.groups) == 1


@only_v1
def test_memory_killed_in_a_group_below_is_counted_too(make: Make) -> None:
    container = make(oci.Resources(memory=oci.Memory(limit=32 * MB, swap=32 * MB)))

    def program() -> int:
        below = f"{container.groups['memory']}/below"
        os.mkdir(below)
        Path(below, "memory.limit_in_bytes").write_text(str(16 * MB))
        Path(below, "cgroup.procs").write_text("0")
        return len(bytearray(64 * MB))

    assert container.run(program) == -signal.SIGKILL
    assert apply.oom_kills(container.groups) == 1


def test_no_more_processes_than_allowed(make: Make) -> None:
    container = make(oci.Resources(pids_limit=5))

    def program() -> int:
        for number in range(50):
            try:
                if os.fork() == 0:
                    sleep()
            except BlockingIOError:
                return number
        return 50

    assert container.run(program) == 4


def test_no_more_processor_time_than_allowed(make: Make) -> None:
    container = make(oci.Resources(cpu=oci.Cpu(quota=10_000, period=100_000)))

    def program() -> int:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            pass
        used = resource.getrusage(resource.RUSAGE_SELF)
        return int(100 * (used.ru_utime + used.ru_stime) / 0.6)

    used = container.run(program)
    assert used < 40
    stat = dict(line.split() for line in container.file("cpu", "cpu.stat").read_text().splitlines())
    # A machine with twenty programs for each processor gives it less than its quota.
    assert int(stat["nr_throttled"]) >= 3 or used <= 10


@on_each_host
def test_devices_that_are_not_allowed_cannot_be_opened(make: Make, host: str) -> None:
    container = make(oci.Resources(devices=(DENY_ALL, NULL)), host)

    def program() -> int:
        os.close(os.open("/dev/null", os.O_RDWR))
        try:
            os.open("/dev/zero", os.O_RDONLY)
        except PermissionError:
            return 7
        return 0

    assert container.run(program) == 7
    if not container.plan.device_program:
        assert "devices" in container.groups
    else:
        group = apply.open_birthplace(container.groups)
        assert len(attached_device_programs(group)) == 1
        os.close(group)


def test_the_verifier_says_why() -> None:
    with pytest.raises(OSError, match="CGROUP_DEVICE") as caught:
        load_device_program(b"\x05\0\xff\xff\0\0\0\0")
    assert caught.value.errno in (errno.EINVAL, errno.EACCES)


@on_each_host
def test_what_is_frozen_stands_still(make: Make, host: str) -> None:
    container = make(host=host)
    count = mmap.mmap(-1, 8)

    def program() -> int:
        number = 0
        while True:
            number += 1
            count[:8] = number.to_bytes(8, "little")

    def counted() -> int:
        return int.from_bytes(count[:8], "little")

    def is_beyond(number: int) -> bool:
        return counted() > number

    container.start(program)
    until(partial(is_beyond, 0))
    for another in (False, True):
        assert not apply.frozen(container.groups)
        frozen = apply.freeze(container.groups)
        before = counted()
        time.sleep(0.05)
        assert counted() == before
        assert apply.frozen(container.groups)
        if another:  # one that knows only the groups
            frozen.close()
            apply.thaw(container.groups)
        else:
            frozen.thaw()
        assert not apply.frozen(container.groups)
        until(partial(is_beyond, before))


@on_each_host
def test_what_cannot_be_waited_for_goes_on(make: Make, host: str) -> None:
    container = make(host=host)
    container.start(sleep)
    free = os.dup(0)
    os.close(free)
    # One descriptor is to be had: that which freezes, and none to see by that they stand still.
    with limited(os.getpid(), resource.RLIMIT_NOFILE, free + 1), pytest.raises(OSError, match="Too many open files"):
        apply.freeze(container.groups)
    assert not apply.frozen(container.groups)
    assert os.dup(0) == free
    os.close(free)


@pytest.mark.parametrize("frozen", [False, True])
@on_each_host
def test_kill_leaves_nobody(make: Make, host: str, frozen: bool) -> None:
    limit = 80 if HOSTS[host](detect()).version("pids") else None
    container = make(oci.Resources(pids_limit=limit), host)
    child = container.start(fork_bomb if limit else sleep)
    if limit:
        until(lambda: len(apply.procs(container.groups)) > 60)
    if frozen:
        apply.freeze(container.groups).close()
    apply.kill(container.groups)
    assert apply.procs(container.groups) == []
    assert apply.wait_empty(container.groups, 1)
    container.children.remove(child)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@only_v1
def test_kill_when_dockers_freezer_holds_them(make: Make) -> None:
    container = make()
    container.start(sleep)
    Path(container.groups["freezer"], "freezer.state").write_text("FROZEN")
    apply.kill(container.groups)
    assert apply.procs(container.groups) == []


@only_hybrid
def test_kill_finds_who_has_left_the_v2_group(make: Make) -> None:
    container = make()
    child = container.start(sleep)
    Path(container.hierarchy.v2, "cgroup.procs").write_text(str(child))
    assert apply.procs(container.groups) == [child]
    apply.kill(container.groups)
    assert apply.procs(container.groups) == []


def test_wait_empty_is_bounded(make: Make) -> None:
    container = make()
    container.start(sleep)
    began = time.monotonic()
    assert not apply.wait_empty(container.groups, 0.05)
    assert time.monotonic() - began < 5


@on_each_host
def test_remove_takes_groups_that_the_program_made(make: Make, host: str) -> None:
    container = make(host=host)
    for directory in set(container.groups.values()):
        os.makedirs(f"{directory}/a/b/c")
        os.mkdir(f"{directory}/d")
    apply.remove(container.groups)
    assert not any(os.path.exists(directory) for directory in container.groups.values())
    apply.remove(container.groups)
    apply.kill(container.groups)
    assert apply.procs(container.groups) == []
    assert apply.oom_kills(container.groups) == 0


def test_remove_of_what_is_in_use_says_so(make: Make) -> None:
    container = make()
    container.start(sleep)
    with pytest.raises(OSError, match="not empty") as caught:
        apply.remove(container.groups, seconds=0.02)
    assert caught.value.errno == errno.EBUSY


def test_a_refused_write_names_file_and_value(make: Make) -> None:
    container = make()
    file = container.file("pids", "pids.max")
    controller = "pids" if "pids" in container.groups else "unified"
    with pytest.raises(OSError, match="'many'") as caught:
        apply.write(container.groups, [(controller, "pids.max", "many")])
    assert caught.value.filename == str(file)


@only_v1
def test_limits_that_bound_each_other_are_set_in_either_order(make: Make) -> None:
    container = make(oci.Resources(memory=oci.Memory(limit=32 * MB, swap=64 * MB)))
    larger = [
        ("memory", "memory.limit_in_bytes", str(96 * MB)),
        ("memory", "memory.memsw.limit_in_bytes", str(128 * MB)),
    ]
    apply.write(container.groups, larger)
    assert Path(container.groups["memory"], "memory.limit_in_bytes").read_text() == f"{96 * MB}\n"


def test_what_is_left_over_is_found_and_cleared(make: Make) -> None:
    container = make()
    child = container.start(sleep)
    container.children.remove(child)
    found = leftovers.leftovers(container.hierarchy, INSTANCE)
    assert found == {"c" * 64: container.groups}
    assert not leftovers.retire(container.hierarchy, INSTANCE)
    ending.clear(found["c" * 64])
    os.waitpid(child, 0)
    assert leftovers.leftovers(container.hierarchy, INSTANCE) == {}


def test_a_neighbour_in_the_shared_parent_is_left_alone(make: Make) -> None:
    container = make()
    parents = {os.path.dirname(group) for group in container.groups.values()}
    neighbours = [Path(parent, "d" * 64) for parent in parents]
    for neighbour in neighbours:
        neighbour.mkdir()
    try:
        assert set(leftovers.leftovers(container.hierarchy, INSTANCE)) == {"c" * 64}
        assert leftovers.leftovers(container.hierarchy, f"{INSTANCE}x") == {}
        ending.clear(leftovers.leftovers(container.hierarchy, INSTANCE)["c" * 64])
        assert leftovers.retire(container.hierarchy, INSTANCE)
        assert all(neighbour.is_dir() for neighbour in neighbours)
    finally:
        for neighbour in neighbours:
            neighbour.rmdir()


def test_what_this_host_can_limit(make: Make) -> None:
    container = make()
    means = probe(container.hierarchy, INSTANCE)
    assert means.memory
    assert means.pids
    assert means.cpu_quota
    assert means.cpuset
    assert means.cpu_shares
    assert str(means.cpu_count - 1) in means.cpus
    if not container.hierarchy.v2:
        return
    nothing = probe(Hierarchy({}, container.hierarchy.v2), INSTANCE)
    assert not any((nothing.memory, nothing.swap, nothing.pids, nothing.cpu_shares, nothing.cpuset))


@on_hosts_with_controllers
def test_limits_of_what_runs_are_changed(make: Make, host: str) -> None:
    container = make(oci.Resources(pids_limit=50, cpu=oci.Cpu(shares=512)), host)
    container.start(sleep)
    after = plan(container.hierarchy, INSTANCE, "c" * 64, "", oci.Resources(pids_limit=0, cpu=oci.Cpu(shares=2)))
    change.change(container.groups, change.difference(container.plan.writes, after.writes))
    assert container.file("pids", "pids.max").read_text() == "max\n"
    v1 = container.hierarchy.version("cpu") == 1
    assert container.file("cpu", "cpu.shares" if v1 else "cpu.weight").read_text() == ("2\n" if v1 else "1\n")


@on_hosts_with_controllers
def test_all_limits_are_changed_or_none(make: Make, host: str) -> None:
    container = make(oci.Resources(pids_limit=50), host)
    v1 = container.hierarchy.version("cpuset") == 1
    files = {name: container.file(name.partition(".")[0], name) for name in ("pids.max", "cpuset.cpus")}
    before = {name: file.read_text() for name, file in files.items()}
    writes = [("pids" if v1 else "unified", "pids.max", "7"), ("cpuset" if v1 else "unified", "cpuset.cpus", "4000")]
    with pytest.raises(OSError, match=r"write '4000' to cpuset\.cpus") as refused:
        change.change(container.groups, writes)
    assert {name: file.read_text() for name, file in files.items()} == before
    assert not getattr(refused.value, "__notes__", [])


def whole_disk() -> tuple[int, int]:
    for disk in sorted(Path("/sys/block").iterdir()):
        if not disk.name.startswith(("loop", "ram", "zram")) and int((disk / "size").read_text()):
            major, minor = (disk / "dev").read_text().split(":")
            return int(major), int(minor)
    pytest.fail("this machine has no disk")


@on_hosts_with_controllers
def test_rates_of_one_disk(make: Make, host: str) -> None:
    major, minor = whole_disk()
    rates = {"read_bps": MB, "write_bps": 2 * MB, "read_iops": 30, "write_iops": 0}
    limits = tuple(oci.BlockLimit(what, major, minor, rate) for what, rate in rates.items())
    container = make(oci.Resources(block_limits=limits), host)
    if container.hierarchy.version("blkio") == 1:
        found = {what: container.file("blkio", f"blkio.throttle.{what}_device").read_text().strip() for what in rates}
        assert found == {what: f"{major}:{minor} {rate}" if rate else "" for what, rate in rates.items()}
    else:
        standing = container.file("unified", "io.max").read_text().split()
        assert standing == [f"{major}:{minor}", f"rbps={MB}", f"wbps={2 * MB}", "riops=30", "wiops=max"]


@on_hosts_with_controllers
def test_memory_and_swap_go_up_and_down_together(make: Make, host: str) -> None:
    def memory(limit: int) -> oci.Resources:
        return oci.Resources(memory=oci.Memory(limit=limit * MB, swap=2 * limit * MB))

    container = make(memory(32), host)
    v1 = container.hierarchy.version("memory") == 1
    writes = container.plan.writes
    for size in (64, 16):
        after = plan(container.hierarchy, INSTANCE, "c" * 64, "", memory(size)).writes
        change.change(container.groups, change.difference(writes, after))
        writes = after
        file = container.file("memory", "memory.limit_in_bytes" if v1 else "memory.max")
        assert int(file.read_text()) == size * MB


@on_hosts_with_controllers
def test_gauges_count_and_end_with_the_groups(make: Make, host: str) -> None:
    container = make(oci.Resources(pids_limit=50, memory=oci.Memory(limit=64 * MB)), host)

    def program() -> int:
        kept = bytearray(8 * MB)
        while kept:
            pass
        return 0

    container.start(program)
    gauges = Gauges(container.groups)
    try:
        until(lambda: gauges.read().memory > 8 * MB)
        before = gauges.read()
        until(lambda: gauges.read().cpu_total > before.cpu_total > 0)
        assert (before.processes, before.processes_limit, before.memory_limit) == (1, 50, 64 * MB)
        assert before.memory_details.keys() & {"cache", "file"}
        assert len(gauges._files) <= MOST_FILES
        if "unified" in container.groups and os.path.exists("/proc/pressure/cpu"):
            assert before.pressure["cpu"]["some"].keys() == {"avg10", "avg60", "avg300", "total"}
        container.end()
        with pytest.raises(OSError, match="No such device"):
            gauges.read()
    finally:
        gauges.close()
        gauges.close()


@on_hosts_with_controllers
def test_notices_of_kills_for_lack_of_memory(make: Make, host: str) -> None:
    tight = oci.Resources(memory=oci.Memory(limit=16 * MB, swap=16 * MB))
    container = make(tight, host)

    def hungry() -> int:
        return len(bytearray(os.urandom(1)) * (64 * MB))

    notices = OomNotices()
    try:
        notices.add("mine", container.groups)
        notices.take()
        assert notices.take() == set()
        assert container.run(hungry) == -signal.SIGKILL
        until(lambda: "mine" in notices.take())
        assert apply.oom_kills(container.groups) == 1
        for _ in range(2):
            notices.remove("mine")
        assert container.run(hungry) == -signal.SIGKILL
        assert notices.take() == set()
    finally:
        notices.close()
