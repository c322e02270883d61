"""What a daemon without root refuses by name, and the devices that it borrows."""

import os

import pytest

from sampan.daemon import rootless
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec.host_config import DeviceMapping, HostConfig
from sampan.spec.ports import PortBinding


@pytest.mark.parametrize(
    ("host", "named"),
    [
        (HostConfig(pid_mode="host"), "--pid=host"),
        (HostConfig(ipc_mode="host"), "--ipc=host"),
        (HostConfig(cgroupns_mode="host"), "--cgroupns=host"),
        (HostConfig(port_bindings={"80/sctp": (PortBinding(),)}), "80/sctp"),
    ],
)
def test_refused_by_name(host: HostConfig, named: str) -> None:
    with pytest.raises(NotImplementedHere, match=named):
        rootless.refuse(host, without_groups=False)


def test_a_shared_pid_namespace_needs_groups() -> None:
    """Only by them would all of a container be found that is not the first process of its namespace."""
    shared = HostConfig(pid_mode="container:web", port_bindings={"80/tcp": (PortBinding(),)})
    rootless.refuse(shared, without_groups=False)
    with pytest.raises(NotImplementedHere, match="--pid=container:web"):
        rootless.refuse(shared, without_groups=True)


def test_devices_are_binds_of_the_machines_nodes() -> None:
    null = DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/nothing", cgroup_permissions="rw")
    (mount,) = rootless.devices(HostConfig(devices=(null,)), frozenset())
    assert (mount.type, mount.source, mount.destination) == ("bind", "/dev/null", "/dev/nothing")
    assert list(rootless.devices(HostConfig(devices=(null,)), frozenset({"/dev/nothing"}))) == []
    all_of_them = {
        mount.destination for mount in rootless.devices(HostConfig(privileged=True), frozenset({"/dev/null"}))
    }
    assert "/dev/null" not in all_of_them
    assert all(os.access(path, os.R_OK) for path in all_of_them)
    wrong = DeviceMapping(path_on_host="/etc/passwd", path_in_container="/dev/x", cgroup_permissions="rw")
    with pytest.raises(InvalidParameter, match="not a device node"):
        list(rootless.devices(HostConfig(devices=(wrong,)), frozenset()))


def test_who_asks_for_nothing_keeps_the_users_own_oom_score() -> None:
    assert rootless.oom_score_adj(0, is_rootless=True) is None
    assert rootless.oom_score_adj(0, is_rootless=False) == 0
    assert rootless.oom_score_adj(300, is_rootless=True) == 300
