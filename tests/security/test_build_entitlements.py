"""What a build may do beyond the usual takes two: the daemon's configuration, and the client that asks (CVE-2024-23653)."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.api.building import build
from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox")

STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status"
INSECURE = f"FROM busybox\nRUN --security=insecure {STATUS} && mkdir /m && mount -t tmpfs none /m && echo mounted\n"
ON_HOST = "FROM busybox\nRUN --network=host readlink /proc/self/ns/net\n"
ALLOWED = ["security.insecure", "network.host"]


@pytest.fixture(scope="module")
def granting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampan]:
    """A daemon that grants what there is."""
    path = tmp_path_factory.mktemp("config") / "daemon.json"
    path.write_text(json.dumps({"builder": {"Entitlements": {"security-insecure": True}}}))
    with running_sampan("--config-file", str(path)) as engine:
        engine.load_busybox()
        yield engine


def test_insecure_where_both_say_so(granting: Sampan) -> None:
    assert build(granting, INSECURE).error == "security.insecure is not allowed"
    shown = build(granting, INSECURE, entitlements=ALLOWED, nocache="1")
    assert not shown.error, shown.lines[-1]
    found = dict(line.split(":\t") for line in shown.text.splitlines() if ":\t" in line)
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) > 0xA80425FB
    assert found["Seccomp"].strip() == "0"
    assert "mounted" in shown.text
    # What is kept of it is for those alone who may make it.
    assert build(granting, INSECURE).error == "security.insecure is not allowed"


def test_a_step_that_asks_for_nothing_gets_nothing(granting: Sampan) -> None:
    shown = build(granting, f"FROM busybox\nRUN {STATUS}\n", entitlements=ALLOWED, nocache="1")
    found = dict(line.split(":\t") for line in shown.text.splitlines() if ":\t" in line)
    assert (int(found["CapEff"], 16), found["Seccomp"].strip()) == (0xA80425FB, "2")


def test_the_hosts_network(granting: Sampan, engine: Sampan) -> None:
    here = os.readlink("/proc/self/ns/net")
    assert build(granting, ON_HOST).error == "network.host is not allowed"
    assert here in build(granting, ON_HOST, entitlements=["network.host"], nocache="1").text
    assert here in build(engine, ON_HOST, entitlements=["network.host"], nocache="1").text, "granted, as in Docker"
    # Who wants all steps there allows it.
    assert here in build(engine, ON_HOST.replace("--network=host ", ""), networkmode="host", nocache="1").text


def test_what_the_daemon_does_not_grant(engine: Sampan) -> None:
    refused = build(engine, INSECURE, entitlements=["security.insecure"])
    message = "granting entitlement security.insecure is not allowed by build daemon configuration"
    assert (refused.status, refused.error) == (403, message)
    command = engine.sampan("build", "--allow", "security.insecure", "-", stdin=b"FROM scratch\n")
    assert message in command.err.decode()
