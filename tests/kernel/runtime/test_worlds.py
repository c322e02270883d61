"""A process sees the same world, however it was started: cold, from a parked slot, or as an exec."""

import re

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
        line = re.sub(r"[A-Z][a-z]{2} +\d+ \d+:\d\d ", "", line)
        lines.append(re.sub(r"total \d+", "total", line))
    # A mount made ahead of time stands earlier in mountinfo; what is mounted where must be the same.
    return sorted(lines)


@requires("root", "overlay", "mount-interface", "pidns", "netns", "busybox")
def test_cold_warm_and_exec_show_the_same_world(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        bench.runtime.open_pool(bench.plan_slot)
        cold = bench.request(config("sh", "-c", LOOK))
        _, cold_text = await bench.output(cold)
        warm = bench.request(config("sh", "-c", LOOK), name=await bench.warm_id())
        _, warm_text = await bench.output(warm)
        assert normal(cold_text, cold.id) == normal(warm_text, warm.id)
        holder = bench.request(config("sleep", "100"))
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
