"""The columns of `stats`, from the API's documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sampan.cli.verbs.stats import cpu_share, row

if TYPE_CHECKING:
    from sampan.client.documents import Document

SAMPLE: Document = {
    "name": "/web",
    "id": "ab" * 32,
    "cpu_stats": {"cpu_usage": {"total_usage": 600}, "system_cpu_usage": 3000, "online_cpus": 2},
    "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
    "memory_stats": {
        "usage": 3 << 20,
        "limit": 10 << 20,
        "stats": {"total_inactive_file": 1 << 20, "inactive_file": 5},
    },
    "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 2}, "eth1": {"rx_bytes": 500, "tx_bytes": 3}},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"op": "Read", "value": 4096},
            {"op": "write", "value": 7},
            {"op": "Total", "value": 5000},
        ]
    },
    "pids_stats": {"current": 3},
}


def cells(sample: Document | None) -> dict[str, object]:
    return dict(row("web", sample, short=True).document())


def test_a_row() -> None:
    assert cells(SAMPLE) == {
        "Container": "web", "Name": "web", "ID": "ab" * 6, "CPUPerc": "50.00%", "MemUsage": "2MiB / 10MiB", "MemPerc": "20.00%",
        "NetIO": "1.5kB / 5B", "BlockIO": "4.1kB / 7B", "PIDs": "3",
    }  # fmt: skip


def test_without_a_sample_there_are_dashes() -> None:
    assert cells(None) == {
        "Container": "web", "Name": "--", "ID": "", "CPUPerc": "--", "MemUsage": "-- / --", "MemPerc": "--", "NetIO": "--",
        "BlockIO": "--", "PIDs": "--",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("now", "before", "share"),
    [
        ({}, {}, 0.0),
        ({"cpu_usage": {"total_usage": 5}, "system_cpu_usage": 7}, {"cpu_usage": {"total_usage": 9}}, 0.0),
        ({"cpu_usage": {"total_usage": 5, "percpu_usage": [1, 2, 2]}, "system_cpu_usage": 10}, {}, 150.0),
    ],
)
def test_share_of_processor_time(now: Document, before: Document, share: float) -> None:
    assert cpu_share({"cpu_stats": now, "precpu_stats": before}) == share


def test_memory_of_v2() -> None:
    sample: Document = {"memory_stats": {"usage": 100, "stats": {"inactive_file": 40}}}
    assert cells(sample)["MemUsage"] == "60B / 0B"
    assert cells({"memory_stats": {"usage": 100, "stats": {"inactive_file": 400}}})["MemUsage"] == "100B / 0B"
