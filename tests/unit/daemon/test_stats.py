"""Statistics in Docker's shape, and how clients are kept up to date."""

import asyncio
import json

from sampan.cgroups.usage import UNLIMITED, Usage
from sampan.daemon import stats_document
from sampan.daemon.sampler import Frame, Watch
from sampan.network.counters import Counters
from sampan.spec.document import encode
from sampan.spec.stats import StatsResponse

ID = "ab" * 32
V1 = Usage(
    cpu_total=9, cpu_each=(4, 5), cpu_kernel=2, cpu_user=7, memory=100, memory_peak=200, memory_failures=3, memory_limit=UNLIMITED,
    memory_details={"cache": 1}, processes=2, transfers=((8, 0, "Read", 5),), operations=(),
)  # fmt: skip
V2 = Usage(
    cpu_total=9, memory=100, memory_limit=50, processes=2, processes_limit=7, pressure={"cpu": {"some": {"total": 1}}}
)


def sampled(usage: Usage, at_ns: int = 1, networks: dict[str, Counters] | None = None) -> StatsResponse:
    return stats_document.sample("web", ID, at_ns, usage, (1000, 2), 4096, networks)


def shown(document: StatsResponse) -> dict[str, object]:
    found = json.loads(encode(document))
    assert isinstance(found, dict)
    return found


def test_a_container_that_does_not_run_has_dockers_zeros() -> None:
    nil = {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
           "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}}  # fmt: skip
    lists = (
        "io_service_bytes",
        "io_serviced",
        "io_queue",
        "io_service_time",
        "io_wait_time",
        "io_merged",
        "io_time",
        "sectors",
    )
    assert shown(stats_document.nothing("web", ID)) == {
        "name": "/web", "id": ID, "read": "0001-01-01T00:00:00Z", "preread": "0001-01-01T00:00:00Z", "num_procs": 0,
        "pids_stats": {}, "storage_stats": {}, "memory_stats": {}, "cpu_stats": nil, "precpu_stats": nil,
        "blkio_stats": {f"{name}_recursive": None for name in lists},
    }  # fmt: skip


def test_v1_has_each_processor_and_the_machines_limit() -> None:
    found = shown(sampled(V1))
    assert found["cpu_stats"] == {
        "cpu_usage": {"total_usage": 9, "percpu_usage": [4, 5], "usage_in_kernelmode": 2, "usage_in_usermode": 7},
        "system_cpu_usage": 1000,
        "online_cpus": 2,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    assert found["memory_stats"] == {"usage": 100, "max_usage": 200, "stats": {"cache": 1}, "failcnt": 3, "limit": 4096}
    assert found["pids_stats"] == {"current": 2}
    blkio = found["blkio_stats"]
    assert isinstance(blkio, dict)
    assert blkio["io_service_bytes_recursive"] == [{"major": 8, "minor": 0, "op": "Read", "value": 5}]
    assert (blkio["io_serviced_recursive"], blkio["sectors_recursive"]) == ([], [])
    assert found.keys() & {"networks", "pressure"} == set()


def test_v2_leaves_out_what_it_does_not_count() -> None:
    found = shown(sampled(V2, networks={"eth0": Counters(1, 2, 3, 4, 5, 6, 7, 8)}))
    cpu, memory, blkio = found["cpu_stats"], found["memory_stats"], found["blkio_stats"]
    assert isinstance(cpu, dict)
    assert isinstance(memory, dict)
    assert isinstance(blkio, dict)
    assert "percpu_usage" not in cpu["cpu_usage"]
    assert memory == {"usage": 100, "limit": 50, "stats": {}}
    assert set(blkio.values()) == {None}
    assert found["pids_stats"] == {"current": 2, "limit": 7}
    assert found["networks"] == {
        "eth0": {"rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4, "tx_bytes": 5, "tx_packets": 6,
                 "tx_errors": 7, "tx_dropped": 8},
    }  # fmt: skip
    assert found["pressure"] == {"cpu": {"some": {"total": 1}}}


def test_the_later_of_two_carries_the_earlier() -> None:
    first, second = sampled(V1, 1_000_000_000), sampled(V2, 2_000_000_000)
    both = stats_document.after(first, second)
    assert (both.preread, both.read) == ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z")
    assert (both.precpu_stats, both.cpu_stats) == (first.cpu_stats, second.cpu_stats)


def test_a_slow_client_gets_the_newest_and_nothing_twice() -> None:
    frames = [Frame(sampled(V1, at), whole=True) for at in (1, 2, 3)]

    async def watched() -> list[bytes | None]:
        watch = Watch()
        for frame in frames[:2]:
            watch.offer(frame)
        seen = [await watch.next()]
        waiting = asyncio.get_running_loop().create_task(watch.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        watch.offer(frames[2])
        seen.append(await waiting)
        watch.offer(frames[0])
        watch.end()
        seen += [await watch.next(), await watch.next()]
        return [frame.data if frame else None for frame in seen]

    assert asyncio.run(watched()) == [frames[1].data, frames[2].data, frames[0].data, None]
