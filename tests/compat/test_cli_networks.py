"""`sampan network inspect` as a picture and as rules, and `sampan port` beside docker's own."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemons import Outcome, Sampan, entry_point, scrubbed_environment
from tests.requires import requires
from tests.terminals import Terminal

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables", "nft")

SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture(autouse=True)
def _containers_and_networks_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    assert engine.docker("network", "prune", "-f").code == 0


@pytest.fixture
def web(engine: Sampan) -> str:
    """A container with ports of every shape."""
    ok(engine.docker("network", "create", "--subnet", "10.71.0.0/24", "--gateway", "10.71.0.1", "back"))
    ports = (
        "-p",
        "18080:80",
        "-p",
        "127.0.0.1:18081:80",
        "-p",
        "127.0.0.1:18053:53/udp",
        "-p",
        "[::1]:18082:81",
        "--expose",
        "99",
    )
    ok(engine.docker("run", "-d", "--name", "web", "--net", "back", "--network-alias", "www", *ports, *SLEEP))
    return "web"


def ok(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome
    return outcome.text


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("80",),
        ("80/tcp",),
        ("53/udp",),
        ("53",),
        ("81",),
        ("99",),
        ("x",),
        ("70000",),
        ("80/sctp",),
        ("80/",),
        ("",),
        ("80", "81"),
    ],
)
def test_port_as_docker_has_it(engine: Sampan, web: str, words: tuple[str, ...]) -> None:
    theirs, ours = engine.docker("port", web, *words), engine.sampan("port", web, *words)
    assert (ours.out, bool(ours.code)) == (theirs.out, bool(theirs.code))
    if theirs.code == 1 and len(words) == 1:
        assert ours.err == theirs.err
    assert engine.sampan("container", "port", web, *words).out == ours.out


def test_rules(engine: Sampan, web: str) -> None:
    text = ok(engine.sampan("network", "inspect", "--rules", "back"))
    identifier = ok(engine.docker("inspect", "-f", "{{.Id}}", web))[:12]
    assert f"tcp . 18080 : 10.71.0.2 . 80,  # web ({identifier}), port 80/tcp" in text
    assert f"udp . 127.0.0.1 . 18053 : 10.71.0.2 . 53,  # web ({identifier}), port 53/udp" in text
    assert "# Nothing in it differs from the plan." in text
    checked = subprocess.run(["nft", "-c", "-f", "-"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    table = next(line.split()[2] for line in text.splitlines() if line.startswith("table ip "))
    listed = subprocess.run(["nft", "list", "table", "ip", table], capture_output=True, text=True, check=True).stdout
    rules = {line.strip() for line in text.splitlines() if line.startswith("\t\t") and " comment " in line}
    assert (
        rules
        - {line.strip() for line in listed.splitlines()}
        - {one for one in rules if "counter" in one or "ip6" in one}
        == set()
    )
    assert "No rule concerns it" in ok(engine.sampan("network", "inspect", "--rules", "none"))
    assert engine.sampan("network", "inspect", "--rules", "nosuch").code == 1
    assert engine.sampan("network", "inspect", "--rules", "-f", "json", "back").code == 125


def test_a_picture_at_a_terminal_and_json_in_a_pipe(engine: Sampan, web: str) -> None:
    ok(engine.docker("run", "-d", "--name", "alone", "--net", "back", *SLEEP))
    piped = engine.sampan("network", "inspect", "back")
    assert piped.out == engine.docker("network", "inspect", "back").out
    environment = {
        **os.environ,
        **scrubbed_environment(),
        "DOCKER_HOST": engine.host,
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    with Terminal([*entry_point("sampan"), "network", "inspect", "back"], environment) as terminal:
        screen = terminal.expect(b"99/tcp").decode()
        assert terminal.wait() == 0
        screen += terminal.screen.decode()
    lines = screen.replace("\r", "").splitlines()
    assert lines[0].startswith("back  ")
    assert "10.71.0.0/24  gateway 10.71.0.1" in lines[1]
    assert any(line.startswith("├── alone") and "10.71.0.3/24" in line for line in lines)
    assert any(line.startswith(f"└── {web}") and "10.71.0.2/24" in line and "also www" in line for line in lines)
    assert any("80/tcp" in line and "→ 0.0.0.0:18080, [::]:18080, 127.0.0.1:18081" in line for line in lines), screen
    assert any("99/tcp" in line and "not published" in line for line in lines)
    with Terminal([*entry_point("sampan"), "network", "inspect", "-f", "json", "back"], environment) as terminal:
        text = terminal.expect(b"]\r\n")
    assert json.loads(text)[0]["Name"] == "back"
