"""Devices asked of a driver: CDI specifications read and carried into a configuration; what no driver has."""

import json
import os
from pathlib import Path

import pytest

from sampan.daemon.device_requests import applied
from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.spec import oci_runtime as oci
from sampan.spec.host_config import DeviceRequest

CONFIG = oci.Config(
    process=oci.Process(args=("true",), env=("PATH=/bin", "A=old"), user=oci.User(additional_groups=("7",)))
)
NULL = os.stat("/dev/null").st_rdev

Json = dict[str, object]


def spec(*devices: Json, **more: object) -> Json:
    return {"cdiVersion": "0.6.0", "kind": "example.com/card", "devices": devices, **more}


def device(name: str, **edits: object) -> Json:
    return {"name": name, "containerEdits": edits}


@pytest.fixture
def directories(tmp_path: Path) -> tuple[str, str]:
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    return str(tmp_path / "etc"), str(tmp_path / "run")


def write(directory: str, name: str, document: object) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    Path(directory, name).write_text(text)


def asked(*names: str) -> list[DeviceRequest]:
    return [DeviceRequest(driver="cdi", device_ids=names)]


def test_everything_that_a_device_needs(directories: tuple[str, str]) -> None:
    node = {"path": "/dev/card0", "hostPath": "/dev/null", "permissions": "rw", "fileMode": 0o640, "uid": 5, "gid": 6}
    mount = {"hostPath": "/usr/share", "containerPath": "/opt/card", "options": ["ro", "nosuid", "bind", "strange"]}
    first = device("one", deviceNodes=[node], mounts=[mount], env=["A=new", "B=2"], additionalGids=[44])
    second = device("two", deviceNodes=[{"path": "/dev/card1", "type": "b", "major": 8, "minor": 1}])
    write(directories[0], "card.json", spec(first, second, containerEdits={"env": ["SHARED=1"]}, unknown=1))
    done = applied(CONFIG, asked("example.com/card=one", "example.com/card=two"), directories)
    assert done.process.env == ("PATH=/bin", "A=new", "SHARED=1", "B=2")
    assert done.process.user.additional_groups == ("7", "44")
    assert done.mounts == (oci.Mount("/opt/card", "bind", "/usr/share", ("ro", "nosuid", "bind")),)
    assert done.linux.devices == (
        oci.Device("/dev/card0", "c", os.major(NULL), os.minor(NULL), 0o640, 5, 6),
        oci.Device("/dev/card1", "b", 8, 1),
    )
    assert done.linux.resources.devices == (
        oci.DeviceRule(True, "c", os.major(NULL), os.minor(NULL), "rw"),
        oci.DeviceRule(True, "b", 8, 1, "rwm"),
    )


def test_a_later_directory_hides_an_earlier_one(directories: tuple[str, str]) -> None:
    write(directories[0], "a.json", spec(device("one", env=["FROM=etc"])))
    write(directories[1], "a.json", spec(device("one", env=["FROM=run"])))
    assert "FROM=run" in applied(CONFIG, asked("example.com/card=one"), directories).process.env


@pytest.mark.parametrize(
    "document",
    [
        "not: {json",
        "[]",
        {"cdiVersion": "0.6.0", "kind": 5},
        "x" * (1 << 20),
        spec(device("one"), device("one")),
        spec(device("other")),
    ],
)
def test_what_no_file_describes_cannot_be_resolved(directories: tuple[str, str], document: object) -> None:
    write(directories[0], "card.json", document)
    os.mkfifo(directories[0] + "/pipe.json")
    with pytest.raises(InvalidParameter) as caught:
        applied(CONFIG, asked("example.com/card=one"), (*directories, "/nosuch"))
    assert str(caught.value) == "CDI device injection failed: unresolvable CDI devices example.com/card=one"


@pytest.mark.parametrize(
    ("edits", "kind", "words"),
    [
        ({"deviceNodes": [{"path": "dev/card"}]}, InvalidParameter, "no absolute path"),
        ({"deviceNodes": [{"path": "/dev/nosuch"}]}, InvalidParameter, "/dev/nosuch"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc/passwd"}]}, InvalidParameter, "not a device node"),
        ({"mounts": [{"hostPath": "usr", "containerPath": "/x"}]}, InvalidParameter, "no absolute path"),
        ({"mounts": [{"hostPath": "/usr", "containerPath": "/"}]}, InvalidParameter, "no absolute path"),
        ({"mounts": [{"hostPath": "x", "containerPath": "/x", "type": "tmpfs"}]}, NotImplementedHere, "type tmpfs"),
        ({"hooks": [{"hookName": "createSomething", "path": "/bin/x"}]}, InvalidParameter, "invalid hook name"),
        ({"hooks": [{"hookName": "prestart", "path": "bin/x"}]}, InvalidParameter, "invalid hook 'bin/x'"),
    ],
)
def test_what_cannot_be_carried_out(
    directories: tuple[str, str], edits: Json, kind: type[SampanError], words: str
) -> None:
    write(directories[1], "card.json", spec(device("one", **edits)))
    with pytest.raises(kind) as caught:
        applied(CONFIG, asked("example.com/card=one"), directories)
    assert words in str(caught.value)


def test_hooks_of_all_devices_come_in_order(directories: tuple[str, str]) -> None:
    first = {"hookName": "createContainer", "path": "/bin/a", "args": ["a", "-x"], "env": ["K=v"], "timeout": 3}
    second = {"hookName": "createContainer", "path": "/bin/b"}
    write(directories[1], "card.json", spec(device("one", hooks=[first, second])))
    found = applied(CONFIG, asked("example.com/card=one"), directories).hooks
    assert found.create_container == (oci.Hook("/bin/a", ("a", "-x"), ("K=v",), 3), oci.Hook("/bin/b"))
    assert bool(found)
    assert not found.prestart


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            DeviceRequest(count=-1, capabilities=(("gpu", "nvidia"), ("tpu",))),
            'could not select device driver "" with capabilities: [[gpu nvidia] [tpu]]',
        ),
        (DeviceRequest(driver="nvidia"), 'could not select device driver "nvidia" with capabilities: []'),
        (DeviceRequest(driver="cdi", count=1), "unexpected count in CDI device request"),
        (DeviceRequest(driver="cdi", options={"a": "b"}), "unexpected options in CDI device request"),
    ],
)
def test_requests_that_no_driver_answers(request_: DeviceRequest, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        applied(CONFIG, [request_], ())
    assert str(caught.value) == words
