"""A plugin's configuration: what is read, what is refused because it would reach out of the plugin."""

import json
from typing import Any

import pytest

from sampan.errors import InvalidParameter, System
from sampan.managed import configuration, privileges, settings
from sampan.spec.plugins import PluginConfig, PluginPrivilege
from tests.managed import config


def read(**more: Any) -> PluginConfig:
    return configuration.read(json.dumps(config(**more)).encode())


def test_dockers_spelling_in_any_case() -> None:
    found = read(PropagatedMount="/mnt", ipchost=True)
    assert (found.propagated_mount, found.ipc_host, found.work_dir) == ("/mnt", True, "/")
    assert found.env is not None
    assert (found.env[0].name, found.env[0].value, found.env[1].settable) == ("DEBUG", "0", None)
    assert configuration.capabilities(found) == ("volumedriver",)


def test_what_it_implements_is_told_by_its_configuration() -> None:
    types = [
        "docker.VolumeDriver/1.0",
        "docker.authz/1.0",
        "docker.metricscollector/1.0",
        "docker.other/1.0",
        "mine.x/1",
    ]
    found = read(interface={"types": types, "socket": "p.sock"})
    assert configuration.implements(found) == ("VolumeDriver", "authz", "MetricsCollector")
    assert configuration.collects_metrics(found)
    assert not configuration.collects_metrics(read())


@pytest.mark.parametrize(
    "more",
    [
        {"interface": {"socket": "../../sampan.sock", "types": []}},
        {"interface": {"socket": "..", "types": []}},
        {"interface": {"socket": "", "types": []}},
        {"interface": {"socket": "a/b", "types": []}},
        {"interface": {"socket": "p.sock", "types": ["volumedriver"]}},
        {"interface": {"socket": "p.sock", "types": ["docker." + "x" * 100 + "/1.0"]}},
        {"entrypoint": []},
        {"entrypoint": ["a\0b"]},
        {"propagatedMount": "mnt"},
        {"propagatedMount": "/mnt/../.."},
        {"propagatedMount": "/"},
        {"workdir": "relative"},
        {"env": "no list"},
        {"mounts": [{"source": 5}]},
    ],
)
def test_what_would_reach_out_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        read(**more)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b'"x"', b"{" * 100_000, b" " * (1 << 21)])
def test_what_is_no_configuration(data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        configuration.read(data)


@pytest.mark.parametrize(
    ("kind", "capability"),
    [("docker.volumedriver/1.0", "volumedriver"), ("docker.authz/1.0", "authz"), ("other.volumedriver/1.0", "")],
)
def test_capability(kind: str, capability: str) -> None:
    assert configuration.capability(kind) == capability


def test_privileges_are_dockers() -> None:
    found = read(
        network={"type": "host"},
        pidhost=True,
        ipchost=True,
        linux={
            "capabilities": ["CAP_NET_ADMIN"],
            "allowAllDevices": True,
            "devices": [{"name": "fuse", "path": "/dev/fuse"}, {"name": "unset", "path": None}],
        },
        mounts=[{"name": "state", "source": "/srv", "destination": "/s"}, {"name": "unset", "source": None}],
    )
    assert [(one.name, one.value) for one in privileges.asked(found)] == [
        ("network", ("host",)),
        ("host ipc namespace", ("true",)),
        ("host pid namespace", ("true",)),
        ("mount", ("/srv",)),
        ("device", ("/dev/fuse",)),
        ("allow-all-devices", ("true",)),
        ("capabilities", ("CAP_NET_ADMIN",)),
    ]


@pytest.mark.parametrize(("kind", "asks"), [("", False), ("bridge", False), ("null", False), ("none", True)])
def test_which_networks_are_to_be_granted(kind: str, asks: bool) -> None:
    assert any(one.name == "network" for one in privileges.asked(read(network={"type": kind}))) is asks


def test_exactly_what_is_asked_for_is_to_be_granted() -> None:
    found = read()
    asked = privileges.asked(found)
    privileges.check(found, tuple(reversed(asked)))
    more = PluginPrivilege(name="host pid namespace", value=("true",))
    other = PluginPrivilege(name="mount", value=("/",))
    for granted in ((), asked[1:], (*asked, more), (*asked[1:], other)):
        with pytest.raises(System, match="incorrect privileges"):
            privileges.check(found, granted)


def test_settings() -> None:
    found = read(mounts=[{"name": "state", "source": None, "destination": "/s", "settable": ["source"]}])
    first = settings.initial(found)
    assert (first.env, first.args, first.mounts[0].source) == (("DEBUG=0", "FIXED=1"), (), None)
    changed, now = settings.changed(found, first, ["DEBUG=a=b", "args.value=x y", "state=/srv"])
    assert (now.env, now.args, now.mounts[0].source) == (("DEBUG=a=b", "FIXED=1"), ("x", "y"), "/srv")
    assert changed.mounts is not None
    assert changed.mounts[0].source == "/srv"
    assert found.mounts is not None
    assert found.mounts[0].source is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("FIXED=2", '"FIXED" is not settable'),
        ("DEBUG.name=2", '"DEBUG.name" is not settable'),
        ("nothing=2", 'setting "nothing" not found'),
        ("=2", "invalid format"),
        ("usr.source=/", '"usr.source" is not settable'),
        ("both=1", "multiple fields are settable"),
        ("DEBUG=a\0b", "NUL"),
    ],
)
def test_what_cannot_be_set(text: str, complaint: str) -> None:
    both = {"name": "both", "settable": ["value", "name"], "value": "0"}
    found = read(env=[*config()["env"], both])
    with pytest.raises(System, match=complaint):
        settings.changed(found, settings.initial(found), ["DEBUG=1", text])


def test_an_upgrade_keeps_what_may_still_be_set() -> None:
    old = read()
    _, before = settings.changed(old, settings.initial(old), ["DEBUG=9", "args=x"])
    new = read(env=[*config()["env"], {"name": "NEW", "value": "n", "settable": ["value"]}])
    after = settings.carried_over(new, before)
    assert (after.env, after.args) == (("DEBUG=9", "FIXED=1", "NEW=n"), ("x",))
    closed = read(env=[{"name": "DEBUG", "value": "5"}], args={"name": "args", "value": ["own"]})
    after = settings.carried_over(closed, before)
    assert (after.env, after.args) == (("DEBUG=5",), ("own",))
