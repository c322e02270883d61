"""Health checks on the real kernel: what inspect, ps, lists and events say, and what becomes of a check when something dies."""

import json
import time
from typing import Any

import pytest

from tests.api.scenes import FOREVER, Box
from tests.archives import busybox_rootfs
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox")

MILLI = 10**6
OFTEN = 150 * MILLI


def checked(engine: Sampan, *test: str, start: bool = True, **more: object) -> Box:
    """A container that sleeps and is checked with `test`, often."""
    box = Box(engine, *FOREVER, Healthcheck={"Test": test, "Interval": OFTEN, **more})
    return box.start() if start else box


def health(box: Box) -> dict[str, Any]:
    found = box.state()["Health"]
    assert isinstance(found, dict)
    return found


def becomes(box: Box, status: str) -> None:
    eventually(lambda: health(box)["Status"] == status, f"did not become {status}")


def events(engine: Sampan, box: Box) -> list[dict[str, Any]]:
    """All that was told of the container."""
    filters = json.dumps({"container": [box.id]})
    answer = engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters={filters.replace(' ', '')}")
    return [json.loads(line) for line in answer.body.splitlines()]


def test_it_becomes_healthy_unhealthy_and_healthy_again(engine: Sampan) -> None:
    box = checked(engine, "CMD-SHELL", "echo out; echo err >&2; test ! -e /bad", Retries=2)
    becomes(box, "healthy")
    result = health(box)["Log"][-1]
    assert (result["ExitCode"], result["Output"]) == (0, "out\nerr\n")
    assert result["Start"] < result["End"]
    box.run("touch", "/bad")
    becomes(box, "unhealthy")
    assert health(box)["FailingStreak"] >= 2
    assert health(box)["Log"][-1]["ExitCode"] == 1
    box.run("rm", "/bad")
    becomes(box, "healthy")
    assert health(box)["FailingStreak"] == 0
    assert len(health(box)["Log"]) <= 5
    box.remove()


def test_events_of_checks_are_those_of_execs(engine: Sampan) -> None:
    box = checked(engine, "CMD", "true")
    becomes(box, "healthy")
    told = events(engine, box)
    actions = [one["Action"] for one in told]
    assert actions[:6] == [
        "create",
        "start",
        "exec_create: true ",
        "exec_start: true ",
        "exec_die",
        "health_status: healthy",
    ]
    died = told[4]["Actor"]["Attributes"]
    assert died["exitCode"] == "0"
    assert died["execID"] == told[2]["Actor"]["Attributes"]["execID"]
    assert "health_status: healthy" not in actions[6:], "it is told when it changes"
    box.remove()


@requires("docker-client")
def test_what_the_command_shows(engine: Sampan) -> None:
    ran = engine.docker(
        *("run", "-d", "--name", "shown", "--health-cmd", "test -e /ok", "--health-interval", "150ms"),
        *("--health-retries", "1000", "--health-timeout", "20s", "busybox", "sleep", "1000"),
    )
    assert ran.code == 0, ran
    assert "(health: starting)" in engine.docker("ps", "--filter", "name=shown").text
    assert engine.docker("ps", "-q", "--no-trunc", "--filter", "health=starting").text == ran.text
    assert engine.docker("exec", "shown", "touch", "/ok").code == 0
    eventually(lambda: "(healthy)" in engine.docker("ps", "--filter", "name=shown").text, "ps does not show it")
    assert engine.docker("ps", "-q", "--filter", "health=starting").text == ""
    assert engine.docker("ps", "-q", "--no-trunc", "--filter", "health=healthy").text == ran.text
    assert engine.docker("inspect", "--format", "{{.State.Health.Status}}", "shown").text == "healthy"
    engine.docker("rm", "-f", "shown")


def test_sampans_own_command_has_the_flags(engine: Sampan) -> None:
    flags = ["--health-cmd", "true", "--health-interval", "1m", "--health-timeout", "2s", "--health-retries", "4"]
    more = ["--health-start-period", "3s", "--health-start-interval", "150ms"]
    ran = engine.sampan("run", "-d", "--name", "flagged", *flags, *more, "busybox", "sleep", "1000")
    assert ran.code == 0, ran
    found = json.loads(engine.sampan("inspect", "flagged").out)[0]
    assert found["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 60_000 * MILLI,
        "Timeout": 2000 * MILLI,
        "StartPeriod": 3000 * MILLI,
        "StartInterval": 150 * MILLI,
        "Retries": 4,
    }
    eventually(lambda: "(healthy)" in engine.sampan("ps").text, "the start interval does not count")
    engine.sampan("rm", "-f", "flagged")


def test_nothing_is_checked_with_none(engine: Sampan) -> None:
    box = checked(engine, "NONE")
    assert "Health" not in box.state()
    box.remove()


@requires("docker-client")
def test_the_images_check_is_merged_and_can_be_turned_off(engine: Sampan) -> None:
    change = "HEALTHCHECK --interval=150ms --retries=7 CMD echo of the image"
    assert engine.docker("import", "--change", change, "-", "checked", stdin=busybox_rootfs()).code == 0
    box = Box(engine, *FOREVER, Image="checked", Healthcheck={"Retries": 9}).start()
    becomes(box, "healthy")
    assert health(box)["Log"][0]["Output"] == "of the image\n"
    merged = box.inspect()["Config"]["Healthcheck"]
    assert (merged["Interval"], merged["Retries"]) == (OFTEN, 9)
    without = Box(engine, *FOREVER, Image="checked", Healthcheck={"Test": ["NONE"]}).start()
    assert "Health" not in without.state()
    for one in (box, without):
        one.remove()


def test_a_check_that_takes_too_long_is_killed(engine: Sampan) -> None:
    box = checked(engine, "CMD-SHELL", "echo begun; exec sleep 987", Timeout=3000 * MILLI, Retries=1)
    becomes(box, "unhealthy")
    result = health(box)["Log"][0]
    assert (result["ExitCode"], result["Output"]) == (-1, "Health check exceeded timeout (3s): begun\n")
    box.remove()


def test_a_check_that_cannot_run_has_failed(engine: Sampan) -> None:
    box = checked(engine, "CMD", "nosuchprogram", Retries=1)
    becomes(box, "unhealthy")
    result = health(box)["Log"][0]
    assert result["ExitCode"] == -1
    assert 'exec: "nosuchprogram": executable file not found in $PATH' in result["Output"]
    box.remove()


def test_output_is_bounded(engine: Sampan) -> None:
    box = checked(engine, "CMD-SHELL", "head -c 300000 /dev/zero | tr '\\0' x")
    becomes(box, "healthy")
    assert health(box)["Log"][0]["Output"] == "x" * 4096 + "..."
    box.remove()


def test_the_start_period_forgives(engine: Sampan) -> None:
    box = checked(engine, "CMD", "false", Retries=1, StartPeriod=10**15, StartInterval=OFTEN)
    eventually(lambda: len(health(box)["Log"]) >= 2, "it is not checked")
    assert (health(box)["Status"], health(box)["FailingStreak"]) == ("starting", 0)
    box.remove()


def test_it_ends_with_the_container_and_begins_anew_with_the_next_run(engine: Sampan) -> None:
    box = checked(engine, "CMD-SHELL", "test ! -e /slow || exec sleep 986")
    becomes(box, "healthy")
    box.run("touch", "/slow")
    eventually(lambda: "sleep 986" in box.run("ps"), "no slow check begins")
    assert engine.api("POST", f"/containers/{box.id}/kill").status == 204
    box.ended(137)
    assert health(box)["Status"] == "unhealthy"
    seen = len(health(box)["Log"])
    box.start()
    assert health(box)["Status"] == "starting"
    assert len(health(box)["Log"]) >= min(seen, 5), "what was logged stays"
    box.remove()


def slow(box: Box) -> list[str]:
    """Pids of slow checks, as the container sees them."""
    return [line.split()[0] for line in box.run("ps").splitlines() if "sleep 985" in line]


def test_a_daemon_that_was_killed_is_followed_by_one_that_goes_on(engine: Sampan) -> None:
    box = checked(engine, "CMD-SHELL", "test ! -e /slow || exec sleep 985", Retries=1)
    becomes(box, "healthy")
    box.run("touch", "/slow")
    eventually(lambda: slow(box), "no slow check begins")
    (old,) = slow(box)
    engine.kill()
    engine.start()
    assert health(box)["Status"] == "healthy", "what was known is kept"
    eventually(lambda: old not in slow(box), "the check of the dead daemon goes on for ever")
    box.run("rm", "/slow")
    seen = [one["Start"] for one in health(box)["Log"]]

    def checked_again() -> bool:
        box.run("sh", "-c", "kill -9 $(ps | grep '[s]leep 985' | awk '{print $1}') 2>/dev/null; true")
        return any(one["Start"] not in seen for one in health(box)["Log"])

    eventually(checked_again, "no check under the new daemon")
    box.remove()


def test_a_paused_container_is_not_checked(engine: Sampan) -> None:
    box = checked(engine, "CMD", "true")
    becomes(box, "healthy")
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    assert health(box)["Status"] == "unhealthy", "as Docker shows what is not checked"
    assert engine.docker("ps", "--filter", "status=paused", "--format", "{{.Status}}").text.endswith("(Paused)")
    assert engine.api("POST", f"/containers/{box.id}/unpause").status == 204
    becomes(box, "healthy")
    box.remove()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"Interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_what_is_refused(engine: Sampan, check: dict[str, Any], message: str) -> None:
    answer = engine.api("POST", "/containers/create", {"Image": "busybox", "Healthcheck": {"Test": ["NONE"], **check}})
    assert (answer.status, answer.json()) == (400, {"message": message})
