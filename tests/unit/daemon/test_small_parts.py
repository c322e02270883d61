"""Detach keys, execs, filters, worker threads, and what a refused client is told."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sampan.daemon import matching
from sampan.daemon.execs import Exec, Execs
from sampan.daemon.hijack import refuse
from sampan.daemon.start_faults import BadStart, translate_failure
from sampan.daemon.workers import Workers
from sampan.errors import InvalidParameter, NotFound, System
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec.execs import ExecCreateRequest
from sampan.spec.ids import ContainerId, ExecId
from sampan.spec.oci_runtime import Process
from sampan.spec.requests import Hijacked


def exec_of(container: str, number: int, *words: str) -> Exec:
    return Exec(
        id=ExecId(f"e{number}"),
        container=ContainerId(container),
        request=ExecCreateRequest(cmd=words or ("ls", "-l")),
        detach_keys=b"",
        process=Process(args=("ls", "-l")),
    )


def test_execs_go_with_their_container() -> None:
    execs = Execs()
    for number, container in enumerate(("a", "a", "b")):
        execs.add(exec_of(container, number))
    assert execs.find("e0").command == "ls -l"
    assert exec_of("a", 3, "true").command == "true ", "as Docker's events show a program without arguments"
    assert execs.of(ContainerId("a")) == ("e0", "e1")
    ended = execs.ended(ExecId("e0"), 3)
    assert ended is not None
    assert (ended.exit_code, execs.of(ContainerId("a"))) == (3, ("e1",))
    assert execs.ended(ExecId("unknown"), 1) is None
    execs.forget_container(ContainerId("a"))
    with pytest.raises(NotFound, match=r"^No such exec instance: e1$"):
        execs.find("e1")
    assert execs.find("e2").exit_code is None


@pytest.mark.parametrize(
    ("asked", "value", "exact", "prefix", "pattern"),
    [
        ((), "web", True, True, True),
        (("web",), "web", True, True, True),
        (("we",), "web", False, True, True),
        (("^e",), "web", False, False, False),
        (("e.",), "web", False, False, True),
        (("(",), "web", False, False, False),
        (("x" * 300,), "x" * 400, False, True, False),
    ],
)
def test_filters(asked: tuple[str, ...], value: str, exact: bool, prefix: bool, pattern: bool) -> None:
    filters = {"k": asked}
    assert matching.exact(filters, "k", value) is exact
    assert matching.prefix(filters, "k", value) is prefix
    assert matching.pattern(filters, "k", value) is pattern


def test_filters_that_are_none() -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid filter 'x'$"):
        matching.check_keys({"x": ("1",)}, {"y"})
    assert matching.boolean({"d": ("true",)}, "d", default=False)
    assert matching.boolean({}, "d", default=True)
    for wrong in (("perhaps",), ("true", "false")):
        with pytest.raises(InvalidParameter, match="invalid filter"):
            matching.boolean({"d": wrong}, "d", default=False)


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 10))


def test_iterators_step_in_threads() -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)
        raise System("at the end")

    async def body() -> list[int]:
        workers = Workers()
        found: list[int] = []
        with pytest.raises(System, match="at the end"):
            await collect(workers, numbers, found)
        workers.close()
        return found

    async def collect(workers: Workers, make: Any, into: list[int]) -> None:
        async for item in workers.iterate(make):
            into.append(item)

    assert run(body()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("tty", "head"), [(True, b""), (False, b"\x01\x00\x00\x00\x00\x00\x00\x05")])
def test_a_refused_client_is_told_in_the_stream(tty: bool, head: bytes) -> None:
    ours, theirs = socket.socketpair()
    refuse(Hijacked(ours), "why", raw=tty)
    assert theirs.recv(100) == head + b"why\r\n"
    assert theirs.recv(1) == b""
    theirs.close()


@pytest.mark.parametrize(
    ("fault", "message", "kind", "code", "text"),
    [
        (
            StartFault.NOT_FOUND,
            'exec: "x": executable file not found in $PATH',
            BadStart,
            127,
            "OCI runtime create failed",
        ),
        (StartFault.NOT_EXECUTABLE, 'exec: "x": permission denied', BadStart, 126, "permission denied: unknown"),
        (StartFault.NOT_EXECUTABLE, 'exec: "/": is a directory', BadStart, 126, "is a directory: permission denied"),
        (StartFault.BAD_MOUNT, "error mounting: not a directory", BadStart, 127, "Are you trying to mount a directory"),
        (StartFault.BAD_USER, "unable to find user x", System, 128, "unable to find user x"),
        (StartFault.CGROUP, "write: invalid argument", System, 128, "invalid argument: unknown"),
    ],
)
def test_failed_starts_in_dockers_words(fault: StartFault, message: str, kind: type, code: int, text: str) -> None:
    error, exit_code = translate_failure(StartFailed(fault, message))
    assert (type(error), exit_code) == (kind, code)
    assert text in str(error)
