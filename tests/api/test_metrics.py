"""`/metrics` at `metrics-addr`: Docker's names for the daemon, ours for each container, and nothing else at that address."""

import http.client
import re
from collections.abc import Iterator

import pytest

from tests.api.building import build
from tests.api.scenes import Box
from tests.daemons import Sampan, free_port, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "cgroup:memory", "cgroup:cpu", "cgroup:pids")

DOCKERS = {
    "builder_builds_triggered_total": "counter",
    "engine_daemon_container_actions_seconds": "histogram",
    "engine_daemon_container_states_containers": "gauge",
    "engine_daemon_engine_cpus_cpus": "gauge",
    "engine_daemon_engine_info": "gauge",
    "engine_daemon_engine_memory_bytes": "gauge",
    "engine_daemon_events_subscribers_total": "gauge",
    "engine_daemon_events_total": "counter",
    "engine_daemon_health_checks_failed_total": "counter",
    "engine_daemon_health_checks_total": "counter",
    "engine_daemon_host_info_functions_seconds": "histogram",
    "engine_daemon_image_actions_seconds": "histogram",
    "engine_daemon_network_actions_seconds": "histogram",
    "process_cpu_seconds_total": "counter",
    "process_open_fds": "gauge",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_virtual_memory_bytes": "gauge",
}
"""As Docker 28.5 has them, with their kinds."""
LINE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (?P<value>\S+)')


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Sampan, int]]:
    port = free_port()
    with running_sampan("--metrics-addr", f"127.0.0.1:{port}") as engine:
        engine.load_busybox()
        yield engine, port


def fetch(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def samples(port: int) -> dict[str, float]:
    """Every sample of the page by its name and labels; each line must be one, or a comment."""
    found = {}
    for line in fetch(port)[2].splitlines():
        if not line.startswith("# "):
            match = LINE.fullmatch(line)
            assert match is not None, line
            found[line.rpartition(" ")[0]] = float(match["value"])
    return found


def test_the_page_has_dockers_names_and_kinds(measured: tuple[Sampan, int]) -> None:
    status, kind, page = fetch(measured[1])
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert {name: kinds.get(name) for name in DOCKERS} == DOCKERS


def test_verbs_states_and_events_are_counted(measured: tuple[Sampan, int]) -> None:
    engine, port = measured
    before = samples(port)
    box = Box(engine, "sleep", "1000", host={"NetworkMode": "none"}).start()
    engine.api("GET", f"/containers/{box.id}/changes")
    assert engine.api("POST", f"/commit?container={box.id}&repo=kept").status == 201
    assert engine.api("POST", "/containers/create", {"Image": "nosuch"}).status == 404
    during = samples(port)
    box.remove()
    after = samples(port)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    for action in ("create", "start", "changes", "commit", "delete"):
        assert grown(f'engine_daemon_container_actions_seconds_count{{action="{action}"}}') == 1, action
    assert grown('sampan_events_total{type="container",action="die"}') == 1
    assert grown("engine_daemon_events_total") >= 4
    running = 'engine_daemon_container_states_containers{state="running"}'
    assert (before[running], during[running], after[running]) == (0, 1, 0)


def test_images_networks_questions_and_builds_are_counted(measured: tuple[Sampan, int]) -> None:
    engine, port = measured
    before = samples(port)
    box = Box(engine, "sleep", "1000").start()
    assert engine.api("POST", "/networks/create", {"Name": "timed"}).status == 201
    for verb in ("connect", "disconnect"):
        assert engine.api("POST", f"/networks/timed/{verb}", {"Container": box.id}).status == 200
    assert engine.api("POST", "/networks/nosuch/connect", {"Container": box.id}).status == 404
    box.remove()
    assert engine.api("DELETE", "/networks/timed").status == 204
    assert engine.api("POST", "/images/busybox/tag?repo=other").status == 201
    assert engine.api("GET", "/images/other/history").status == 200
    assert engine.api("DELETE", "/images/other").status == 200
    assert engine.api("GET", "/info").status == 200
    assert build(engine, "FROM busybox\n").error == ""
    after = samples(port)
    for name, label, action in (
        ("network_actions", "action", "connect"),
        ("network_actions", "action", "release"),
        ("image_actions", "action", "history"),
        ("image_actions", "action", "delete"),
        ("host_info_functions", "function", "system_info"),
    ):
        key = f'engine_daemon_{name}_seconds_count{{{label}="{action}"}}'
        assert after[key] - before[key] == 1, key
    assert after["builder_builds_triggered_total"] - before["builder_builds_triggered_total"] == 1


def test_a_container_is_told_as_it_is(measured: tuple[Sampan, int]) -> None:
    engine, port = measured
    program = (
        "x=$(head -c 8388608 /dev/zero | tr '\\0' a); i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1000"
    )
    box = Box(engine, "sh", "-c", program, name="odd", host={"Memory": 64 << 20, "PidsLimit": 50}).start()
    labels = f'id="{box.id}",name="odd",image="busybox"'
    assert samples(port)[f"sampan_container_memory_limit_bytes{{{labels}}}"] == 64 << 20
    assert f"sampan_container_cpu_seconds_total{{{labels}}}" in samples(port)
    assert samples(port)[f"sampan_container_pids{{{labels}}}"] >= 1
    assert f'sampan_container_network_receive_bytes_total{{{labels},interface="eth0"}}' in samples(port)
    box.remove()
    assert not [name for name in samples(port) if box.id in name]


def test_nothing_else_is_there(measured: tuple[Sampan, int]) -> None:
    port = measured[1]
    for path in ("/", "/containers/json", "/v1.51/containers/json", "/info", "/metrics/"):
        assert fetch(port, path)[0] == 404, path
    assert fetch(port, "/metrics", Origin="https://example.org")[0] == 403
    assert fetch(port, "/metrics", method="DELETE")[0] == 404
