"""`--gpus` and CDI names through docker's command: refused in Docker's words, or the device is there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdi")


@pytest.fixture(scope="module")
def host(cards: Path) -> Iterator[Sampan]:
    with running_sampan("--cdi-spec-dir", str(cards)) as engine:
        engine.load_busybox()
        yield engine


def test_a_gpu_that_no_driver_has(host: Sampan) -> None:
    done = host.docker("run", "--rm", "--gpus", "all", "busybox", "true")
    assert done.code == 125
    assert 'could not select device driver "" with capabilities: [[gpu]]' in done.err.decode()


def test_a_cdi_device(host: Sampan, cards: Path) -> None:
    (cards / "share").mkdir()
    (cards / "share" / "library").write_text("from the host")
    edits = {
        "env": ["CARD=one"],
        "deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/zero", "permissions": "r"}],
        "mounts": [{"hostPath": str(cards / "share"), "containerPath": "/opt/card", "options": ["ro", "bind"]}],
    }
    document = {
        "cdiVersion": "0.6.0",
        "kind": "example.com/card",
        "devices": [{"name": "one", "containerEdits": edits}],
    }
    (cards / "card.json").write_text(json.dumps(document))
    program = "echo $CARD; head -c 2 /dev/card0 | wc -c; cat /opt/card/library; touch /opt/card/x || echo read-only"
    done = host.docker("run", "--rm", "--device", "example.com/card=one", "busybox", "sh", "-c", program)
    assert done.code == 0, done
    assert done.text.splitlines()[:2] == ["one", "2"]
    assert done.text.endswith("from the hostread-only")
    missing = host.docker("run", "--rm", "--device", "example.com/card=two", "busybox", "true")
    assert "CDI device injection failed: unresolvable CDI devices example.com/card=two" in missing.err.decode()
    info = host.api("GET", "/info").json()
    assert isinstance(info, dict)
    assert info["CDISpecDirs"] == [str(cards)]


def test_hooks_of_a_device_are_run_at_their_moments(host: Sampan, cards: Path) -> None:
    log = cards / "log"

    def hook(point: str, does: str) -> dict[str, object]:
        # The host's shell, with the state on its input and no environment but its own.
        script = f"read -r line; case $line in *ociVersion*) echo {point} $(hostname) >> {log};; esac; {does}"
        return {"hookName": point, "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}

    shows = """r=$(echo "$line" | sed 's/.*"rootfs":"\\([^"]*\\).*/\\1/'); echo linked > $r/etc/linked"""
    points = {"createRuntime": ":", "createContainer": shows, "poststart": ":", "poststop": ":"}
    edits = {"hooks": [hook(point, does) for point, does in points.items()]}
    devices = [{"name": "one", "containerEdits": edits}]
    (cards / "hooked.json").write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": "example.com/hooked", "devices": devices})
    )
    asked = ("run", "--rm", "--hostname", "within", "--device", "example.com/hooked=one")
    done = host.docker(*asked, "busybox", "cat", "/etc/linked")
    assert (done.code, done.text) == (0, "linked"), done
    outside = os.uname().nodename

    def told() -> list[list[str]]:
        return [line.split() for line in log.read_text().splitlines()]

    eventually(lambda: len(told()) == len(points))
    assert told() == [[point, "within" if point == "createContainer" else outside] for point in points]
    fails = [{"name": "two", "containerEdits": {"hooks": [hook("createRuntime", "echo no >&2; exit 3")]}}]
    (cards / "failing.json").write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": "example.com/failing", "devices": fails})
    )
    refused = host.docker("run", "--rm", "--device", "example.com/failing=two", "busybox", "true")
    assert "error running createRuntime hook #0: exit status 3, output: no" in refused.err.decode()
    # Whoever runs the hooks is not the own runtime, whose init reaps: the host's docker-init stands in front.
    with_init = host.docker(
        "run", "--rm", "--init", "--device", "example.com/hooked=one", "busybox", "cat", "/proc/1/comm"
    )
    assert (with_init.code, with_init.text) == (0, "docker-init"), with_init
