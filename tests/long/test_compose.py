"""`docker-compose` drives the engine: services that find each other, wait for each other, come, change and go."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons import Outcome, Sampan, running_sampan
from tests.long.compose import Project
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

Compose = Callable[[str], Project]

TWO = """
services:
  db:
    image: busybox
    command: [sh, -c, "echo here > /tmp/index.html; touch /tmp/ok; exec httpd -f -p 80 -h /tmp"]
    healthcheck: {test: [CMD, test, -f, /tmp/ok], interval: 1s, timeout: 5s, retries: 60}
    networks: {back: {aliases: [database]}}
  web:
    image: busybox
    command: [sleep, "1000"]
    depends_on: {db: {condition: service_healthy}}
    networks: [back, front]
    ports: ["127.0.0.1::80"]
networks:
  back: {internal: true}
  front: {}
"""
VOLUMES = """
services:
  writer:
    image: busybox
    command: [sh, -c, "cat /run/secrets/word /settings > /data/both; exec sleep 1000"]
    volumes: ["data:/data"]
    secrets: [word]
    configs: [{source: settings, target: /settings}]
  idle:
    image: busybox
    profiles: [extra]
    command: [sleep, "1000"]
volumes: {data: {}}
secrets: {word: {file: ./word}}
configs: {settings: {content: "config\\n"}}
"""
FIXED = """
services:
  one: {image: busybox, command: [sleep, "1000"], networks: {lan: {ipv4_address: 10.239.0.10}}}
networks:
  lan: {ipam: {config: [{subnet: 10.239.0.0/24, gateway: 10.239.0.1}]}}
  outer: {external: true, name: outer}
"""


@pytest.fixture
def engine() -> Iterator[Sampan]:
    with running_sampan() as started:
        started.load_busybox()
        yield started


@pytest.fixture
def compose(engine: Sampan, tmp_path: Path) -> Compose:
    def written(text: str) -> Project:
        (tmp_path / "compose.yaml").write_text(text)
        return Project(engine, tmp_path)

    return written


def ok(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome
    return outcome.text


def running(project: Project) -> dict[str, str]:
    """Id by name."""
    lines = ok(project("ps", "--format", "json")).splitlines()
    return {one["Name"]: one["ID"] for one in map(json.loads, lines)}


def left(engine: Sampan) -> list[str]:
    shown = ok(engine.docker("network", "ls", "-q", "-f", "type=custom")), ok(engine.docker("ps", "-aq"))
    return [line for text in (*shown, ok(engine.docker("volume", "ls", "-q"))) for line in text.splitlines()]


def test_services_find_and_wait_for_each_other(engine: Sampan, compose: Compose) -> None:
    project = compose(TWO)
    ok(project("up", "-d", "--wait"))
    first = running(project)
    assert sorted(first) == ["project-db-1", "project-web-1"]
    for name in ("db", "database", "project-db-1", "db.project_back"):
        assert f"Name:\t{name}" in ok(project("exec", "-T", "web", "nslookup", name))
    asked = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc db 80"
    assert ok(project("exec", "-T", "web", "sh", "-c", asked)).endswith("\nhere")
    assert project("exec", "-T", "db", "nslookup", "example.com").code != 0  # its network is internal
    ok(project("up", "-d"))
    assert running(project) == first  # nothing has changed, so nothing is made again
    ok(project("up", "-d", "--scale", "db=3", "--wait"))
    assert len(running(project)) == 4
    assert ok(project("exec", "-T", "web", "nslookup", "db")).count("Name:\tdb") == 3
    ok(project("up", "-d", "--scale", "db=1"))
    project = compose(TWO.replace('[sleep, "1000"]', '[sleep, "2000"]'))
    ok(project("up", "-d", "--wait"))
    second = running(project)
    assert second["project-db-1"] == first["project-db-1"]
    assert second["project-web-1"] != first["project-web-1"]  # only what has changed
    assert "Name:\tdb" in ok(project("run", "--rm", "-T", "web", "nslookup", "db"))
    engine.kill()
    engine.start()
    assert running(project) == second
    assert "Name:\tdb" in ok(project("exec", "-T", "web", "nslookup", "db"))
    ok(project("down", "-v", "-t", "1"))
    assert left(engine) == []


def test_volumes_secrets_configs_and_profiles(engine: Sampan, compose: Compose, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("secret\n")
    project = compose(VOLUMES)
    ok(project("up", "-d", "--wait"))
    assert sorted(running(project)) == ["project-writer-1"]
    assert ok(project("exec", "-T", "writer", "cat", "/data/both")).split() == ["secret", "config"]
    ok(project("--profile", "extra", "up", "-d"))
    assert sorted(running(project)) == ["project-idle-1", "project-writer-1"]
    ok(project("cp", "writer:/data/both", str(tmp_path / "copy")))
    assert (tmp_path / "copy").read_text() == "secret\nconfig\n"
    ok(project("--profile", "extra", "down", "-t", "1"))
    assert left(engine) == ["project_data"]
    ok(project("down", "-v"))
    assert left(engine) == []


def test_chosen_and_external_networks(engine: Sampan, compose: Compose) -> None:
    text = FIXED.replace("10.239.0.10}}}", "10.239.0.10}, outer: {}}}")
    project = compose(text)
    assert "outer" in project("up", "-d").err.decode()  # declared as external, and not there
    ok(engine.docker("network", "create", "outer"))
    ok(project("up", "-d"))
    shown = ok(project("exec", "-T", "one", "ip", "-4", "-o", "address"))
    assert "10.239.0.10/24" in shown
    assert "eth1" in shown
    ok(project("down", "-t", "1"))
    assert ok(engine.docker("network", "ls", "--format", "{{.Name}}", "-f", "type=custom")) == "outer"
