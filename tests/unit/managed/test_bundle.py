"""The bundle that a plugin is run from: what it was granted and nothing else."""

import json
from typing import Any

import msgspec
import pytest

from sampan.errors import InvalidParameter, System
from sampan.managed import configuration, settings
from sampan.managed.bundle import Places, document
from sampan.managed.catalog import Record
from sampan.oci import documents
from sampan.spec.ids import Digest
from tests.managed import config

PLACES = Places("/data/rootfs", "/run/sockets", "", "/group")


def record(**more: Any) -> Record:
    found = configuration.read(json.dumps(config(**more)).encode())
    digest = Digest("sha256:" + "0" * 64)
    return Record(
        id="1" * 64,
        name="a:latest",
        reference="a:latest",
        config=found,
        settings=settings.initial(found),
        configuration=digest,
        manifest=digest,
        media_type="",
        layers=(),
        root="rootfs-1",
    )


def bundle(places: Places = PLACES, **more: Any) -> dict[str, Any]:
    text = document(record(**more), places)
    # What `sampan-oci` reads of it is all that is written.
    assert msgspec.json.decode(text, type=documents.Bundle).process is not None
    found: dict[str, Any] = json.loads(text)
    return found


def namespaces(found: dict[str, Any]) -> set[str]:
    return {one["type"] for one in found["linux"]["namespaces"]}


def test_namespaces_follow_what_was_granted() -> None:
    assert namespaces(bundle()) == {"mount", "uts", "cgroup", "network", "pid", "ipc"}
    shared = bundle(network={"type": "host"}, pidhost=True, ipchost=True)
    assert namespaces(shared) == {"mount", "uts", "cgroup"}
    with pytest.raises(InvalidParameter, match="network type"):
        bundle(network={"type": "container:x"})


def test_capabilities_are_the_usual_ones_and_those_granted() -> None:
    found = bundle()["process"]["capabilities"]
    assert found["bounding"] == found["effective"] == found["permitted"]
    assert "CAP_SYS_ADMIN" in found["bounding"]
    assert "CAP_NET_ADMIN" not in found["bounding"]
    with pytest.raises(InvalidParameter, match="unknown capability"):
        bundle(linux={"capabilities": ["CAP_NOTHING"]})


def test_mounts() -> None:
    plain = {one["destination"]: one for one in bundle()["mounts"]}
    assert plain["/run/docker/plugins"]["source"] == "/run/sockets"
    assert plain["/usr"]["options"] == ["rbind", "ro"]
    assert "/etc/resolv.conf" in plain
    assert "/etc/resolv.conf" not in {one["destination"] for one in bundle(network={"type": ""})["mounts"]}
    without = bundle(Places("/r", "/s", "", "/g", of_host=("/etc/hosts",)))
    assert "/etc/resolv.conf" not in {one["destination"] for one in without["mounts"]}
    places = Places("/r", "/s", "/data/propagated-mount", "/g")
    found = {one["destination"]: one for one in bundle(places, propagatedMount="/mnt/v")["mounts"]}
    assert found["/mnt/v"]["options"] == ["rbind", "rw", "rshared"]
    assert found["/mnt/v"]["source"] == "/data/propagated-mount"


def test_what_is_mounted_on_is_there_before() -> None:
    places = [one["destination"] for one in bundle()["mounts"]]
    assert places.index("/dev") < places.index("/dev/pts")
    own = {"name": "shm", "source": "/dev/shm", "destination": "/dev/shm", "type": "bind", "options": ["rbind"]}
    found = [one for one in bundle(mounts=[own])["mounts"] if one["destination"] == "/dev/shm"]
    assert [one["type"] for one in found] == ["bind"]


def test_devices() -> None:
    nodes = bundle(linux={"devices": [{"name": "null", "path": "/dev/null"}]})["linux"]
    assert [(one["path"], one["major"], one["minor"]) for one in nodes["devices"]] == [("/dev/null", 1, 3)]
    assert nodes["resources"]["devices"][0] == {"allow": False, "type": "a", "access": "rwm"}
    everything = bundle(linux={"allowAllDevices": True})["linux"]["resources"]["devices"]
    assert everything == [{"allow": True, "type": "a", "access": "rwm"}]
    with pytest.raises(System, match="no path"):
        bundle(linux={"devices": [{"name": "x", "path": None}]})
    with pytest.raises(InvalidParameter, match="not a device node"):
        bundle(linux={"devices": [{"name": "x", "path": "/etc/passwd"}]})


def test_what_is_not_set_yet() -> None:
    with pytest.raises(System, match="mount source is not specified"):
        bundle(mounts=[{"name": "state", "source": None, "destination": "/s", "type": "bind"}])


def test_environment_and_arguments() -> None:
    process = bundle(args={"name": "args", "value": ["-v"]}, User={"UID": 5, "GID": 6})["process"]
    assert process["args"][-2:] == ["/plugin.py", "-v"]
    assert process["env"][1:] == ["DEBUG=0", "FIXED=1"]
    assert process["user"] == {"uid": 5, "gid": 6}


def test_metrics_are_shown_to_those_who_collect_them() -> None:
    places = Places("/r", "/s", "", "/g", metrics="/run/sampan/metrics.sock")
    shown = [one for one in bundle(places)["mounts"] if one["destination"] == "/run/docker/metrics.sock"]
    assert [(one["source"], one["options"]) for one in shown] == [("/run/sampan/metrics.sock", ["rbind", "ro"])]
    assert not any(one["destination"] == "/run/docker/metrics.sock" for one in bundle()["mounts"])
