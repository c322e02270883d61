"""What a create request is refused for, in Docker's words, and what is taken off with a warning."""

from typing import Any

import msgspec
import pytest

from sampan.cgroups.means import Means
from sampan.daemon import verify
from sampan.daemon.verify_resources import check_resources, parse_list
from sampan.errors import InvalidParameter, SampanError
from sampan.runtime.profile_capabilities import KNOWN
from sampan.spec.containers import ContainerConfig
from sampan.spec.health import HealthConfig
from sampan.spec.host_config import HostConfig, LogConfig, RestartPolicy, ThrottleDevice, WeightDevice
from sampan.spec.ports import PortBinding

THROTTLE = (ThrottleDevice(path="/dev/x", rate=1),)
ALL = Means(True, True, True, True, True, True, True, True, True, True, True, True, True, True, 2, "0-1", "0")
NOTHING = Means(
    False, False, False, False, False, False, False, False, False, False, False, False, False, False, 2, "", ""
)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"working_dir": "a/b"}, "the working directory 'a/b' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "NOPE"}, "invalid signal: NOPE"),
        ({"env": ("=x",)}, "invalid environment variable: =x"),
        ({"hostname": "x" * 65}, "invalid hostname"),
        ({"user": "a\0b"}, "NUL"),
    ],
)
def test_programs_that_are_refused(config: dict[str, Any], text: str) -> None:
    with pytest.raises(SampanError, match=text):
        verify.check_config(ContainerConfig(**config))


@pytest.mark.parametrize(
    ("host", "config", "text"),
    [
        ({"auto_remove": True, "restart_policy": RestartPolicy(name="always")}, {}, "can't create 'AutoRemove'"),
        ({"restart_policy": RestartPolicy(name="sometimes")}, {}, "unknown policy 'sometimes'"),
        ({"restart_policy": RestartPolicy(name="always", maximum_retry_count=1)}, {}, "only be used with 'on-failure'"),
        ({"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=-1)}, {}, "cannot be negative"),
        ({"extra_hosts": ("a",)}, {}, 'bad format for add-host: "a"'),
        ({"extra_hosts": ("a:b",)}, {}, 'invalid IP address in add-host: "b"'),
        ({"cap_add": ("NOPE",)}, {}, 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
        ({"security_opt": ("nonsense",)}, {}, 'invalid --security-opt 1: "nonsense"'),
        ({"ipc_mode": "what"}, {}, "invalid IPC mode: what"),
        ({"pid_mode": "container:"}, {}, "invalid PID mode: container:"),
        ({"uts_mode": "container:x"}, {}, "invalid UTS mode"),
        ({"cgroupns_mode": "x"}, {}, "invalid cgroup namespace mode: x"),
        ({"uts_mode": "host"}, {"hostname": "h"}, "conflicting options: hostname and the UTS mode"),
        ({"network_mode": "container:"}, {}, "invalid container format container:<name|id>"),
        ({"network_mode": "container:x"}, {"hostname": "h"}, "hostname and the network mode"),
        ({"network_mode": "container:x", "port_bindings": {"1/tcp": (PortBinding(),)}}, {}, "port publishing"),
        ({"network_mode": "container:x", "dns": ("1.1.1.1",)}, {}, "dns and the network mode"),
        ({"tmpfs": {"/": ""}}, {}, "destination can't be '/'"),
        ({"tmpfs": {"x": ""}}, {}, "mount path must be absolute"),
        ({"shm_size": -1}, {}, "SHM size can not be less than 0"),
        ({"oom_score_adj": 2000}, {}, "Invalid value 2000, range for oom score adj"),
        ({"annotations": {"": "x"}}, {}, "invalid Annotations"),
        ({"annotations": {"sampan.cgroup-conf.cgroup.procs": "1"}}, {}, "invalid control file 'cgroup.procs'"),
        ({"isolation": "hyperv"}, {}, "linux only supports 'default'"),
        ({"userns_mode": "x"}, {}, "invalid userns mode"),
        ({"cgroup_parent": "/../x"}, {}, "invalid cgroup parent"),
        ({"cgroup": "container:x"}, {}, "HostConfig.Cgroup is not implemented yet"),
    ],
)
def test_hosts_that_are_refused(host: dict[str, Any], config: dict[str, Any], text: str) -> None:
    with pytest.raises(SampanError) as caught:
        verify.check_host(HostConfig(**host), ContainerConfig(**config), KNOWN)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("given", "bounded", "text"),
    [
        ({"size": "1g"}, False, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
        ({"colour": "red"}, True, "Unknown option colour"),
        ({"size": "1x"}, True, "invalid suffix: 'x'"),
    ],
)
def test_layer_sizes_that_are_refused(given: dict[str, str], bounded: bool, text: str) -> None:
    with pytest.raises(SampanError) as caught:
        verify.layer_size(HostConfig(storage_opt=given), "overlay2", bounded=bounded)
    assert str(caught.value) == text


def test_layer_sizes() -> None:
    assert verify.layer_size(HostConfig(), "overlay2", bounded=False) == 0
    assert verify.layer_size(HostConfig(storage_opt={"Size": "10m"}), "overlay2", bounded=True) == 10 << 20


def test_what_is_taken() -> None:
    host = HostConfig(network_mode="host", port_bindings={"1/tcp": (PortBinding(),)}, extra_hosts=("a:host-gateway",))
    assert verify.check_host(host, ContainerConfig(), KNOWN) == [
        "Published ports are discarded when using host network mode"
    ]


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ({"memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 1 << 25, "memory_swap": 1 << 24}, "Minimum memoryswap limit should be larger"),
        ({"memory_swap": 1 << 25}, "You should always set the Memory limit"),
        ({"memory_swappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"memory": 1 << 25, "memory_reservation": 1 << 26}, "can not be less than memory reservation"),
        ({"nano_cpus": 1, "cpu_quota": 1}, "Nano CPUs and CPU Quota cannot both be set"),
        ({"nano_cpus": 3 * 10**9}, "range of CPUs is from 0.01 to 2.00"),
        ({"cpu_period": 10}, "CPU cfs period can not be less than 1ms"),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms"),
        ({"cpu_shares": -1}, "invalid CPU shares"),
        ({"cpuset_cpus": "0-9"}, "Requested CPUs are not available - requested 0-9, available: 0-1"),
        ({"cpuset_mems": "x"}, "Invalid value x for cpuset mems"),
        ({"cpuset_cpus": " 0"}, "Invalid value  0 for cpuset cpus: invalid format:  0"),
        ({"cpuset_cpus": "9999999"}, "Invalid value 9999999 for cpuset cpus: value of out range, maximum is 8192"),
        ({"cpu_realtime_period": 1, "cpu_realtime_runtime": 2}, "cannot be higher than cpu real-time period"),
        ({"io_maximum_iops": 1}, "QoS maximum IOPs configuration is not supported on linux"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        (
            {"blkio_device_read_bps": (ThrottleDevice(path="/dev/x", rate=1),) * 257},
            "257 limits of block I/O are too many",
        ),
    ],
)
def test_limits_that_are_refused(host: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_resources(HostConfig(**host), ALL)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("host", "field", "left", "text"),
    [
        ({"memory": 1 << 25}, "memory", 0, "memory limit capabilities"),
        ({"memory_reservation": 1 << 25}, "memory_reservation", 0, "memory soft limit"),
        ({"pids_limit": 5}, "pids_limit", None, "PIDs limit"),
        ({"cpu_shares": 5}, "cpu_shares", 0, "CPU shares"),
        ({"cpu_quota": 5000}, "cpu_quota", 0, "CPU period/quota discarded"),
        ({"oom_kill_disable": True}, "oom_kill_disable", None, "OomKillDisable discarded"),
        ({"memory_swappiness": 5}, "memory_swappiness", None, "memory swappiness"),
        ({"cpu_percent": 5}, "cpu_percent", 0, "CPU percent"),
        ({"kernel_memory_tcp": 5}, "kernel_memory_tcp", 0, "kernel memory TCP limit"),
        ({"blkio_weight_device": (WeightDevice(path="/dev/x"),)}, "blkio_weight_device", (), "Weight-device discarded"),
        ({"blkio_device_read_bps": THROTTLE}, "blkio_device_read_bps", (), "Block I/O BPS read limit discarded."),
        ({"blkio_device_write_bps": THROTTLE}, "blkio_device_write_bps", (), "BPS Block I/O write limit or the cgroup"),
        ({"blkio_device_read_iops": THROTTLE}, "blkio_device_read_iops", (), "IOPS Block read limit or the cgroup"),
        ({"blkio_device_write_iops": THROTTLE}, "blkio_device_write_iops", (), "Block I/O IOPS write limit discarded."),
        ({"blkio_weight": 5}, "blkio_weight", 0, "Block I/O weight or the cgroup is not mounted. Weight discarded."),
    ],
)
def test_limits_that_the_host_cannot_keep(host: dict[str, Any], field: str, left: object, text: str) -> None:
    changed, warnings = check_resources(HostConfig(**host), NOTHING)
    assert getattr(changed, field) == left
    assert [warning for warning in warnings if text in warning]


def test_limits_that_are_kept_are_not_changed() -> None:
    host = HostConfig(memory=1 << 25, memory_swap=1 << 26, pids_limit=5, nano_cpus=10**9, cpuset_cpus="0,1")
    changed, warnings = check_resources(host, ALL)
    assert (changed, warnings) == (host, [])


def test_lists_of_processors() -> None:
    assert parse_list("0-2,5") == {0, 1, 2, 5}
    for wrong in ("a", "1-", "3-1", "1,,x", " 0", "0,", "0 ", "\u0661\u00b2"):
        with pytest.raises(ValueError, match="invalid"):
            parse_list(wrong)
    for large in ("0-99999", "8193", "9" * 5000):
        with pytest.raises(ValueError, match="value of out range, maximum is 8192"):
            parse_list(large)


HONOURED_ELSEWHERE = {
    "binds", "mounts", "volumes_from", "port_bindings", "publish_all_ports", "network_mode", "log_config", "dns",
    "dns_options", "dns_search", "group_add", "devices", "device_cgroup_rules", "sysctls", "masked_paths",
    "readonly_paths", "init", "privileged", "readonly_rootfs", "console_size", "auto_remove", "cap_add", "cap_drop",
    "container_id_file",
}  # fmt: skip


def test_every_member_of_the_host_config_is_known_to_somebody() -> None:
    """A member that the API takes and no module of the daemon names would be accepted and ignored."""
    from pathlib import Path

    room = Path(verify.__file__).parent
    text = "".join(path.read_text() for path in room.glob("*.py"))
    unknown = [
        name for name in HostConfig.__struct_fields__ if f".{name}" not in text and name not in HONOURED_ELSEWHERE
    ]
    assert unknown == []
    assert msgspec.structs.fields(LogConfig)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"timeout": 999_999}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"start_period": -1}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"start_interval": 1}, "StartInterval in Healthcheck cannot be less than 1ms"),
        ({"retries": -1}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_health_checks_that_are_refused(check: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        verify.check_healthcheck_times(ContainerConfig(healthcheck=HealthConfig(**check)))
