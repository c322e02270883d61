"""Limits by what they do to a program, on cgroup v1, v2 and hybrid hosts: one table, for a short run and for a long one.

Nothing here reads a limit back. Each function makes its containers, measures, and asserts.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.api.scenes import Box
from tests.daemons import EMULATED, Sampan
from tests.waiting import eventually, within

MB = 1 << 20
TOLERANCE = 0.10 if EMULATED else 0.05
BOMB = """echo "yes 'sh /bomb &' | sh -i >/dev/null 2>&1" >/bomb; exec sh /bomb"""
"""Each that lives starts another, for ever; a shell that is interactive does not end where it cannot fork."""
SPIN = ("sh", "-c", "while :; do :; done")
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
ONE_TO_THREE = (1024, 4056) if V2 else (1024, 3072)
"""Shares whose weights are as 1 to 3: on v2 the weights are 100 and 300, by runc's curve, which is not a straight line."""


def _stats(engine: Sampan, box: Box) -> dict[str, Any]:
    answer = engine.api("GET", f"/containers/{box.id}/stats?stream=0&one-shot=1").json()
    assert isinstance(answer, dict)
    return answer


def used(engine: Sampan, box: Box) -> int:
    """Nanoseconds of processor time."""
    return int(_stats(engine, box)["cpu_stats"]["cpu_usage"]["total_usage"])


def _best_of_three(measure: Callable[[], float], wanted: float, what: str, tolerance: float = TOLERANCE) -> None:
    found = []
    for _ in range(3):
        found.append(measure())
        if abs(found[-1] / wanted - 1) <= tolerance:
            return
    raise AssertionError(f"{what}: wanted {wanted}, measured {found}")


def shares_divide_a_core(engine: Sampan, seconds: float) -> None:
    """Two programs that never rest, pinned to one processor, until they have used `seconds` of it together."""
    few, many = (
        Box(engine, *SPIN, host={"NetworkMode": "none", "CpusetCpus": "0", "CpuShares": shares}).start()
        for shares in ONE_TO_THREE
    )

    def measure() -> float:
        before = used(engine, few), used(engine, many)
        spent = (0, 0)
        deadline = time.monotonic() + 60 + 20 * seconds
        while sum(spent) < seconds * 1e9:
            assert time.monotonic() < deadline, f"they had only {spent} ns"
            time.sleep(0.05)
            spent = used(engine, few) - before[0], used(engine, many) - before[1]
        return spent[1] / sum(spent)

    _best_of_three(measure, 0.75, "the larger share of a core")


def a_quota_holds(engine: Sampan, seconds: float) -> None:
    """0.2 of a core by the clock, and no more; where others want the processors, too, all of it whenever it was held back."""
    period = 100_000_000
    box = Box(engine, *SPIN, host={"NetworkMode": "none", "NanoCpus": 200_000_000}).start()

    def measure() -> float:
        before, began = _stats(engine, box)["cpu_stats"], time.monotonic_ns()
        time.sleep(seconds)
        after, ended = _stats(engine, box)["cpu_stats"], time.monotonic_ns()
        used = after["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        held = after["throttling_data"]["throttled_periods"] - before["throttling_data"]["throttled_periods"]
        share = float(used / (ended - began))
        crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
        if crowded and held and share < 0.2:
            return float(0.2 * used / max(used, 0.2 * period * held))
        return share

    _best_of_three(measure, 0.2, "a quota of 0.2 core")


def a_rate_of_writing_holds(engine: Sampan, directory: Path, seconds: float) -> None:
    """5 MB a second, written past the cache to a loop device."""
    rate = 5_000_000
    blocks = round(seconds * rate / 65536)
    with loop_device(directory, (blocks + 16) * 65536) as device:
        host = {
            "NetworkMode": "none",
            "Devices": [{"PathOnHost": device, "PathInContainer": "/dev/disk", "CgroupPermissions": "rw"}],
            "BlkioDeviceWriteBps": [{"Path": device, "Rate": rate}],
        }
        box = Box(engine, "sleep", "1000", host=host).start()
        write = f"{{ time dd if=/dev/zero of=/dev/disk bs=65536 count={blocks} oflag=direct >/dev/null; }} 2>&1"
        # The first writes have the allowance of a moment in which nothing was written.
        _inside(box, "sh", "-c", "dd if=/dev/zero of=/dev/disk bs=65536 count=8 oflag=direct 2>/dev/null")

        def measure() -> float:
            # "real    0m 2.10s": by a clock that does not count the way into the container.
            real = re.search(r"real\s+(\d+)m\s+([\d.]+)s", _inside(box, "sh", "-c", write))
            assert real is not None
            return blocks * 65536 / (int(real[1]) * 60 + float(real[2]))

        _best_of_three(measure, rate, "bytes written a second", 0.10)
        engine.api("DELETE", f"/containers/{box.id}?force=1")


@contextmanager
def loop_device(directory: Path, size: int) -> Iterator[str]:
    """A block device that is a file."""
    backing = directory / "disk.img"
    backing.write_bytes(b"")
    os.truncate(backing, size)
    done = subprocess.run(
        ["losetup", "--find", "--show", str(backing)], capture_output=True, text=True, check=True, timeout=60
    )
    device = done.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True, timeout=60)


def a_fork_bomb_stops_at_its_limit(engine: Sampan, pid_mode: str = "") -> None:
    """It has as many processes as it may, the host goes on as if nothing was, and nothing of it is left after its end."""
    limit = 60
    bomb = Box(engine, "sh", "-c", BOMB, host={"NetworkMode": "none", "PidsLimit": limit, "PidMode": pid_mode})
    bomb.start()
    groups = bomb.groups()

    def at_the_limit() -> bool:
        # As the kernel counts, the dead whom nobody reaps included.
        count = int(_stats(engine, bomb)["pids_stats"]["current"])
        assert count <= limit
        return count == limit

    eventually(at_the_limit, "it never came to its limit")
    # The host can be used.
    with within(5):
        assert Box(engine, "echo", "fine", host={"NetworkMode": "none"}).start().id
        subprocess.run(["true"], check=True, timeout=20)
    answer = engine.api("DELETE", f"/containers/{bomb.id}?force=1")
    assert answer.status == 204, answer.body
    # Among the host's processes its end is not theirs: the monitor kills what is left in its groups.
    eventually(lambda: not [pid for group in groups for pid in _pids(group)], "processes of it survive it", 10)


def _inside(box: Box, *words: str) -> str:
    """The output of a command executed in it."""
    outcome = box.engine.sampan("exec", box.id, *words)
    assert outcome.code == 0, outcome
    return outcome.text


def _pids(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text().split()
    except OSError:
        return []


def a_device_that_was_not_given_cannot_be_opened(engine: Sampan, directory: Path) -> None:
    """Its node can be made, and opening it is refused; with --device it can be read; as much as was given and no more."""
    with loop_device(directory, MB) as device:
        number = os.stat(device).st_rdev
        make = f"mknod /tmp/disk b {os.major(number)} {os.minor(number)}"
        plain = Box(engine, "sleep", "1000", host={"NetworkMode": "none"}).start()
        _inside(plain, "sh", "-c", make)
        assert "not permitted" in _inside(plain, "sh", "-c", "head -c 1 /tmp/disk 2>&1; true")
        given = {"PathOnHost": device, "PathInContainer": "/dev/given", "CgroupPermissions": "r"}
        box = Box(engine, "sleep", "1000", host={"NetworkMode": "none", "Devices": [given]}).start()
        read = _inside(box, "sh", "-c", "head -c 4 /dev/given 2>&1 | wc -c")
        assert read == "4", read
        written = _inside(box, "sh", "-c", "{ echo x >/dev/given; } 2>&1; true")
        assert "not permitted" in written, written
        for each in (plain, box):
            engine.api("DELETE", f"/containers/{each.id}?force=1")


def memory_past_the_limit_is_killed(engine: Sampan) -> None:
    """The program that takes it is killed, the event names it, and the container's end says why."""
    hungry = "x=a; while :; do x=$x$x; done"
    since = time.time()
    box = Box(
        engine, "sh", "-c", hungry, host={"NetworkMode": "none", "Memory": 16 * MB, "MemorySwap": 16 * MB}
    ).start()
    box.ended(137)
    assert box.state()["OOMKilled"] is True
    told = _events(engine, since, box.id)
    assert [each["Action"] for each in told if each["Action"] in ("oom", "die")] == ["oom", "die"]


def _events(engine: Sampan, since: float, container: str) -> list[dict[str, Any]]:
    filters = quote(json.dumps({"container": [container]}))
    answer = engine.api("GET", f"/events?since={since:.6f}&until={time.time():.6f}&filters={filters}")
    return [json.loads(line) for line in answer.body.splitlines()]
