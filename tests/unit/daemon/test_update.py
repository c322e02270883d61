"""What an update makes of a container's settings: Docker's rules, case by case."""

from typing import Any

import pytest

from sampan.daemon.update import merged
from sampan.errors import Conflict
from sampan.spec.host_config import HostConfig, RestartPolicy

MB = 1 << 20
SWAP = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"


@pytest.mark.parametrize(
    ("standing", "asked", "changed"),
    [
        ({}, {}, {}),
        ({"memory": 5}, {}, {}),
        ({}, {"cpu_shares": 5, "cpuset_cpus": "0"}, {"cpu_shares": 5, "cpuset_cpus": "0"}),
        ({"memory": 64 * MB, "memory_swap": 128 * MB}, {"memory": 100 * MB}, {"memory": 100 * MB}),
        ({}, {"memory": 8 * MB, "memory_swap": -1}, {"memory": 8 * MB, "memory_swap": -1}),
        ({}, {"memory_swap": 8 * MB}, {"memory_swap": 8 * MB}),
        ({"pids_limit": 5}, {"pids_limit": 0}, {"pids_limit": 0}),
        ({"pids_limit": 5}, {"pids_limit": None}, {}),
        ({"nano_cpus": 5}, {"nano_cpus": 7}, {"nano_cpus": 7}),
        ({}, {"restart_policy": RestartPolicy(name="always")}, {"restart_policy": RestartPolicy(name="always")}),
        ({"restart_policy": RestartPolicy(name="always")}, {"cpu_shares": 3}, {"cpu_shares": 3}),
        (
            {"auto_remove": True},
            {"restart_policy": RestartPolicy(name="no")},
            {"restart_policy": RestartPolicy(name="no")},
        ),
    ],
)
def test_what_is_asked_for_stands_in_its_place(
    standing: dict[str, Any], asked: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert merged(HostConfig(**standing), HostConfig(**asked)) == HostConfig(**{**standing, **changed})


@pytest.mark.parametrize(
    ("standing", "asked", "why"),
    [
        ({}, {"memory": 8 * MB}, SWAP),
        ({"memory": 8 * MB, "memory_swap": -1}, {"memory": 9 * MB}, SWAP),
        ({"memory": 8 * MB, "memory_swap": 16 * MB}, {"memory": 17 * MB}, SWAP),
        ({"cpu_period": 5}, {"nano_cpus": 1}, "Nano CPUs cannot be updated as CPU Period has already been set"),
        ({"cpu_quota": 5}, {"nano_cpus": 1}, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        ({"nano_cpus": 5}, {"cpu_period": 1}, "CPU Period cannot be updated as NanoCPUs has already been set"),
        ({"nano_cpus": 5}, {"cpu_quota": 1}, "CPU Quota cannot be updated as NanoCPUs has already been set"),
        ({"auto_remove": True}, {"restart_policy": RestartPolicy(name="always")}, "because AutoRemove is enabled"),
    ],
)
def test_what_excludes_what_stands_is_refused(standing: dict[str, Any], asked: dict[str, Any], why: str) -> None:
    with pytest.raises(Conflict, match=why):
        merged(HostConfig(**standing), HostConfig(**asked))
