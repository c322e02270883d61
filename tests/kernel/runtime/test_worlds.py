"""A process sees the same world, however it was started: cold, from a parked slot, or as an exec."""

import re
from dataclasses import replace

import pytest

from sampan.spec.rootfs import OverlayRoot
from tests.kernel.runtime.conftest import Bench, config
from tests.requires import requires

LOOK = (
    "cat /proc/self/mountinfo; echo =; cat /proc/self/status; echo =; cat /proc/self/cgroup; echo =; "
    "cat /proc/self/limits; echo =; env; echo =; ls -l /dev /dev/pts /dev/shm; echo =; "
    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range; echo =; "
    "hostname; pwd; id; ls -l /proc/self/fd | wc -l; cat /proc/self/oom_score_adj; cat /proc/keys"
)


def normal(text: str, name: str) -> list[str]:
    """The world without what must differ: ids of mounts and processes, times, counts of use."""
    text = text.replace(name, "CONTAINER")
    lines = []
    for line in text.splitlines():
        if re.match(r"(Pid|PPid|Tgid|NSpid|NSpgid|NSsid|NStgid|Vm|Rss|.*ctxt_switches|Mems|HugetlbPages|SigQ)", line):
            continue
        line = re.sub(r"^\d+ \d+ \d+:\d+ ", "", line)
        # Before Linux 6.7 layers are named by whatever descriptor is free.
        line = re.sub(r"/proc/self/fd/\d+", "LAYER", line)
        line = re.sub(r"[A-Z][a-z]{2} +\d+ \d+:\d\d ", "", line)
        lines.append(re.sub(r"total \d+", "total", line))
    # A mount made ahead of time stands earlier in mountinfo; what is mounted where must be the same.
    return sorted(lines)


@pytest.mark.parametrize("also", [(), ("cgroup",)], ids=["host cgroups", "private cgroups"])
@requires("root", "overlay", "mount-interface", "pidns", "netns", "cgroupns", "busybox")
def test_cold_warm_and_exec_show_the_same_world(bench: Bench, also: tuple[str, ...]) -> None:
    async def body(bench: Bench) -> None:
        bench.runtime.open_pool(bench.plan_slot)
        cold = bench.request(config("sh", "-c", LOOK, also=also))
        _, cold_text = await bench.output(cold)
        warm = bench.request(config("sh", "-c", LOOK, also=also), name=await bench.warm_id())
        _, warm_text = await bench.output(warm)
        assert normal(cold_text, cold.id) == normal(warm_text, warm.id)
        holder = bench.request(config("sleep", "100", also=also))
        await bench.runtime.start(holder)
        ended, exec_text = await bench.execute(holder, "sh", "-c", LOOK)
        assert ended.code == 0
        assert normal(exec_text.decode(), holder.id) == normal(cold_text, cold.id)
        bench.runtime.signal(holder.id, 9)
        assert (await bench.exit_of(holder.id)).code == 137

    bench.run(body, slots=1)


@requires("root", "overlay", "mount-interface", "pidns", "netns", "busybox")
def test_no_descriptor_and_no_right_is_left_to_the_program(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(
            config("sh", "-c", "ls /proc/self/fd; cat /proc/self/status; ls /proc/1/root; stat -c %d /", user="app")
        )
        ended, text = await bench.output(request)
        assert ended.code == 0
        assert text.split("Name:")[0].split() == ["0", "1", "2", "3"]  # 3 is ls's own
        assert "CapEff:\t0000000000000000" in text
        assert "CapInh:\t0000000000000000" in text
        assert "CapBnd:\t00000000a80425fb" in text
        assert re.search(r"Groups:\s44 1000 ?\n", text)

    bench.run(body)


@requires("root", "overlay", "mount-interface", "pidns", "cgroupns", "busybox", "cgroup:memory")
def test_a_private_cgroup_namespace_shows_the_container_s_own_groups_as_roots(bench: Bench) -> None:
    look = (
        "cat /proc/self/cgroup; echo =; cd /sys/fs/cgroup; "
        "cat memory/memory.limit_in_bytes memory.max 2>/dev/null; grep /sys/fs/cgroup /proc/self/mountinfo; "
        "mkdir memory/below below 2>/dev/null && echo written; cat memory/cgroup.procs cgroup.procs 2>/dev/null; true"
    )

    async def body(bench: Bench) -> None:
        request = bench.request(config("sh", "-c", look, also=("cgroup",)))
        controller = "memory" if "memory" in request.cgroup.groups else "unified"
        limit = ("memory.limit_in_bytes" if controller == "memory" else "memory.max", str(64 << 20))
        limited = replace(request.cgroup, writes=((controller, *limit),))
        ended, text = await bench.output(replace(request, cgroup=limited))
        assert ended.code == 0, text
        membership, _, seen = text.partition("=\n")
        assert {line.partition(":")[2].partition(":")[2] for line in membership.splitlines()} == {"/"}
        assert seen.splitlines()[0] == str(64 << 20)
        assert request.id not in text
        assert "written" not in text
        # The shell and its cat, nobody else.
        assert [line for line in seen.splitlines()[1:] if line.isdigit()][:1] == ["1"]

    bench.run(body)


@requires("root", "overlay", "mount-interface", "pidns", "busybox")
def test_as_many_layers_as_an_image_may_have(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(config("sh", "-c", "cat /layer-0 /layer-126; ls / | grep -c layer-"))
        assert isinstance(request.root, OverlayRoot)
        layers = [bench.base / f"data/layer,{number}" for number in range(127)]
        for number, layer in enumerate(layers):
            layer.mkdir()
            (layer / f"layer-{number}").write_text(f"{number}\n")
        lowers = (*(str(layer) for layer in layers), *request.root.lowers)
        ended, text = await bench.output(replace(request, root=replace(request.root, lowers=lowers)))
        assert (ended.code, text.split()) == (0, ["0", "126", "127"])

    bench.run(body)
