"""What a monitor leaves that was killed after its last word."""

import asyncio
import os
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from sampan.runtime.monitored import Monitored
from sampan.runtime.request import Exit
from sampan.spec.ids import ContainerId
from sampan.threads import Threads
from tests.scarcity import no_more_threads


def watched(groups: dict[str, str], ended: Exit | None, within: AbstractContextManager[None] | None = None) -> None:
    """A monitor that has ended; returns when it counts as gone."""
    with subprocess.Popen(["true"]) as process:
        asyncio.run(_watched(os.pidfd_open(process.pid), groups, ended, within or nullcontext()))


async def _watched(
    pidfd: int, groups: dict[str, str], ended: Exit | None, within: AbstractContextManager[None]
) -> None:
    asyncio.get_running_loop().set_default_executor(Threads())
    monitored = Monitored("one", ContainerId("one"), "/nowhere", groups)
    monitored.exit = ended
    gone = asyncio.Event()
    with within:
        monitored.watch_monitor(pidfd, lambda _: gone.set())
        await asyncio.wait_for(gone.wait(), 10)
    assert monitored.gone
    assert await monitored.wait_gone(0)


ENDED = Exit(code=0, ended_ns=1, cause="exited")


def test_its_groups_are_gone_before_it_is(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    watched({"cpu": str(tmp_path / "group")}, ENDED)
    assert not (tmp_path / "group").exists()


def test_what_has_not_told_its_end_is_for_whoever_kills_its_program(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    watched({"cpu": str(tmp_path / "group")}, None)
    assert (tmp_path / "group").exists()


def test_without_a_thread_they_stay_and_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "group").mkdir()
    watched({"cpu": str(tmp_path / "group")}, ENDED, no_more_threads(monkeypatch))
    assert (tmp_path / "group").exists()
    assert "control groups of one stay until the daemon's next start" in caplog.text
