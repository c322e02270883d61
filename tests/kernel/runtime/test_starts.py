"""Starts that fail name their fault and leave nothing; programs that end are told as they ended."""

import asyncio
import os
import signal

import pytest

from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec import oci_runtime as oci
from tests.kernel.runtime.conftest import Bench, config
from tests.requires import requires

needs = requires("root", "overlay", "mount-interface", "pidns", "netns", "busybox")

FAULTS = [
    (config("nosuch"), StartFault.NOT_FOUND, 'exec: "nosuch": executable file not found in $PATH'),
    (config("/nosuch"), StartFault.NOT_FOUND, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    (config("/etc/passwd"), StartFault.NOT_EXECUTABLE, 'exec: "/etc/passwd": permission denied'),
    (config("/etc"), StartFault.NOT_EXECUTABLE, 'exec: "/etc": is a directory'),
    (config("true", user="ghost"), StartFault.BAD_USER, "unable to find user ghost"),
    (
        config("true", mounts=(oci.Mount(destination="/x", type="bind", source="/no/such/source"),)),
        StartFault.BAD_MOUNT,
        "/no/such/source",
    ),
    (
        config("true", mounts=(oci.Mount(destination="/proc/x", type="bind", source="/etc"),)),
        StartFault.BAD_MOUNT,
        "inside /proc",
    ),
    (
        config("true", mounts=(oci.Mount(destination="/etc/passwd", type="bind", source="/etc"),)),
        StartFault.BAD_MOUNT,
        "Are you trying to mount a directory onto a file",
    ),
]


@needs
@pytest.mark.parametrize("warm", [False, True])
def test_a_failed_start_names_its_fault_and_leaves_nothing(bench: Bench, warm: bool) -> None:
    async def body(bench: Bench) -> None:
        if warm:
            bench.runtime.open_pool(bench.plan_slot)
        for spec, fault, text in FAULTS:
            request = bench.request(spec, name=await bench.warm_id() if warm else None)
            with pytest.raises(StartFailed) as failed:
                await bench.runtime.start(request)
            assert failed.value.fault is fault, failed.value.message
            assert text in failed.value.message
            for directory in request.cgroup.groups.values():
                assert not os.path.exists(directory)
            assert not os.path.exists(bench.base / "run/containers" / request.id)

    bench.run(body, slots=1 if warm else 0)


@needs
@pytest.mark.parametrize(
    ("script", "code", "signal", "cause"),
    [
        ("exit 0", 0, 0, "exited"),
        ("exit 7", 7, 0, "exited"),
        ("exec /bin/busybox nosuchapplet", 127, 0, "exited"),
    ],
)
def test_an_exit_is_told_as_it_was(bench: Bench, script: str, code: int, signal: int, cause: str) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(config("sh", "-c", script))
        ended, _ = await bench.output(request)
        assert (ended.code, ended.signal, ended.cause) == (code, signal, cause)
        bench.runtime.forget(request.id)
        assert not os.path.exists(bench.base / "run/containers" / request.id)

    bench.run(body)


@needs
def test_a_signal_ends_the_program_and_is_told(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(config("sleep", "100", init=True))
        await bench.runtime.start(request)
        bench.runtime.signal(request.id, 15)
        ended = await bench.exit_of(request.id)
        assert (ended.code, ended.signal) == (143, 0)  # the reaper ends with the program's status
        bare = bench.request(config("sleep", "100"))
        await bench.runtime.start(bare)
        bench.runtime.signal(bare.id, 9)
        ended = await bench.exit_of(bare.id)
        assert (ended.code, ended.signal, ended.cause) == (137, 9, "signal")

    bench.run(body)


@needs
def test_a_terminal_is_the_container_s_own(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(config("sh", "-c", "tty; ls -l /dev/console; exec 3</dev/tty && echo opened", tty=True))
        _, text = await bench.output(request)
        assert text.startswith("/dev/pts/0\r\n")
        assert "136,   0" in text
        assert "opened" in text

    bench.run(body)


@needs
@pytest.mark.parametrize("turns", range(0, 60, 6))
def test_a_monitor_that_is_killed_over_its_work_leaves_nothing(bench: Bench, turns: int) -> None:
    async def body(bench: Bench) -> None:
        request = bench.request(config("sleep", "1000"))
        groups = [*request.cgroup.groups.values()]
        start = asyncio.create_task(bench.runtime.start(request))
        for _ in range(10_000):
            if any(map(os.path.exists, groups)) and bench.runtime._live[request.id]._monitor_pidfd >= 0:
                break
            await asyncio.sleep(0.001)
        # A little further, each time another little.
        await asyncio.sleep(turns * 0.0005)
        monitor = bench.runtime._live[request.id]._monitor_pidfd
        signal.pidfd_send_signal(monitor, signal.SIGKILL)
        try:
            await start
        except StartFailed:
            pass
        else:
            assert (await bench.exit_of(request.id)).cause == "monitor-lost"
        for _ in range(400):
            if not any(map(os.path.exists, groups)):
                return
            await asyncio.sleep(0.025)
        raise AssertionError(f"left: {[*filter(os.path.exists, groups)]}")

    bench.run(body)
