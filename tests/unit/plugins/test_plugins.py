"""The client against plugins that behave, and against ones that do not. Every wait here is bounded by the client itself."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sampan.plugins.faults import PluginAway, PluginBroke, PluginNotFound, PluginRefused, WrongKind
from sampan.plugins.places import Places
from sampan.plugins.plugin import Nothing, Reply
from sampan.plugins.plugins import Plugins
from sampan.spec.document import Document
from tests.plugin_servers import answering, served

OK = b"HTTP/1.1 200 OK\r\n"


class MountPoint(Reply, frozen=True):
    mountpoint: str = ""


class Name(Document, frozen=True, omit_defaults=False):
    name: str = ""


def plugins(directory: Path) -> Plugins:
    return Plugins([Places.only((directory,))])


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


async def asked(directory: Path, seconds: float = 1.0, **more: Any) -> MountPoint:
    plugin = await plugins(directory).get("p", "VolumeDriver", patience=0)
    return await plugin.call("VolumeDriver.Path", Name("v"), MountPoint, seconds=seconds, patience=0, **more)


def test_a_call_is_what_docker_sends(tmp_path: Path) -> None:
    with served(tmp_path / "p.sock", "VolumeDriver", {"VolumeDriver.Path": {"Mountpoint": "/m", "Err": ""}}) as plugin:
        assert run(asked(tmp_path)).mountpoint == "/m"
    assert plugin.calls == [("Plugin.Activate", {}), ("VolumeDriver.Path", {"Name": "v"})]
    assert plugin.headers[1]["Accept"] == "application/vnd.docker.plugins.v1.2+json"
    assert plugin.headers[1]["Host"] == "plugin.moby.localhost"


def test_members_in_any_case_and_nulls_are_read_as_by_go(tmp_path: Path) -> None:
    with served(tmp_path / "p.sock", "VolumeDriver", {"VolumeDriver.Path": {"mountpoint": "/m", "err": None, "x": 1}}):
        assert run(asked(tmp_path)).mountpoint == "/m"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"Err": "no such volume"}, "no such volume"),
        ((500, {"Err": "broken"}), "VolumeDriver.Path: broken"),
        ((404, b"404 page not found\n"), "VolumeDriver.Path: 404 page not found\n"),
        ((500, {"Err": "x" * 100_000}), "VolumeDriver.Path: " + "x" * 4077),
    ],
)
def test_what_a_plugin_says_is_passed_on(tmp_path: Path, answer: Any, message: str) -> None:
    with served(tmp_path / "p.sock", "VolumeDriver", {"VolumeDriver.Path": lambda _: answer}):
        with pytest.raises(PluginRefused) as caught:
            run(asked(tmp_path))
    assert str(caught.value) == message


def test_activation_happens_once_and_is_shared(tmp_path: Path) -> None:
    async def many() -> None:
        one = plugins(tmp_path)
        await asyncio.gather(*(one.get("p", "authz") for _ in range(20)))
        await one.get("p", "authz")
        assert one.active("authz") == ["p"]
        assert one.active("VolumeDriver") == []

    with served(tmp_path / "p.sock", "authz", {}) as plugin:
        run(many())
    assert plugin.names() == ["Plugin.Activate"]


def test_a_plugin_of_another_kind(tmp_path: Path) -> None:
    with served(tmp_path / "p.sock", ["IpamDriver"], {}):
        with pytest.raises(WrongKind, match='plugin="p", requested implementation="VolumeDriver"'):
            run(plugins(tmp_path).get("p", "VolumeDriver"))


def test_a_plugin_that_nobody_has_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(PluginNotFound, match=r'plugin "a/\.\./b" not found'):
        run(plugins(tmp_path).get("a/../b", "VolumeDriver"))
    assert time.monotonic() - began < 5


def test_one_that_does_not_listen_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "p.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def waited() -> None:
        getting = asyncio.create_task(plugins(tmp_path).get("p", "VolumeDriver"))
        await asyncio.sleep(0.1)
        with served(path, "VolumeDriver", {}):
            assert (await getting).implements == ("VolumeDriver",)

    run(waited())


def test_one_that_died_is_away_and_found_again(tmp_path: Path) -> None:
    async def died() -> None:
        with served(tmp_path / "p.sock", "VolumeDriver", {}):
            plugin = await plugins(tmp_path).get("p", "VolumeDriver", patience=0)
        with pytest.raises(PluginAway, match="is gone"):
            await plugin.call("VolumeDriver.Path", Name("v"), MountPoint, patience=0)
        with served(tmp_path / "p.sock", "VolumeDriver", {"VolumeDriver.Path": {"Mountpoint": "/new"}}):
            assert (await plugin.call("VolumeDriver.Path", Name("v"), MountPoint, patience=0)).mountpoint == "/new"

    run(died())


def _silent(connection: socket.socket) -> None:
    connection.recv(1)


def _dribbling(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def _endless_head(connection: socket.socket) -> None:
    connection.sendall(OK)
    while True:
        connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")


def _interim(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def _endless(connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n")
    while True:
        connection.sendall(b" " * 65536)


def _endless_chunks(connection: socket.socket) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1\r\n \r\n")


def _says(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def _document(data: bytes) -> Callable[[socket.socket], None]:
    return _says(OK + b"Content-Length: %d\r\n\r\n" % len(data) + data)


@pytest.mark.parametrize(
    ("behave", "message"),
    [
        (_silent, "no answer within"),
        (_dribbling, "no answer within"),
        (_endless_head, "too long|no answer within"),
        (_interim, "interim answers without an end"),
        (_endless, "larger than 1048576 bytes"),
        (_endless_chunks, "larger than 1048576 bytes|no answer within"),
        (_says(b""), "EOF"),
        (_says(b"HTTP/1.1 200"), "unexpected EOF"),
        (_says(b"SSH-2.0-x\r\n\r\n"), "malformed HTTP response"),
        (_says(b"HTTP/1.1 2x0 OK\r\n\r\n"), "malformed HTTP response"),
        (_says(OK + b"no colon\r\n\r\n"), "malformed header"),
        (_says(OK + b"Content-Length: -1\r\n\r\n{}"), "malformed length"),
        (_says(OK + b"Content-Length: 0x10\r\n\r\n{}"), "malformed length"),
        (_says(OK + b"Content-Length: 99999999999999999999\r\n\r\n{}"), "malformed length"),
        (_says(OK + b"Content-Length: 99\r\n\r\n{}"), "unexpected EOF"),
        (_says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "malformed length"),
        (_says(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx"), "malformed chunk"),
        (_document(b"not JSON"), "invalid JSON"),
        (_document(b"[]"), "invalid JSON"),
        (_document(b'{"Implements": 5}'), "invalid JSON"),
        (_document(b'{"Implements": ["\xff"]}'), "invalid JSON"),
        (_document(b'{"x":' * 100_000 + b"1" + b"}" * 100_000), "invalid JSON"),
        (_document(b"[" * 500_000), "invalid JSON"),
    ],
)
def test_a_hostile_answer_ends_in_time_and_in_few_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behave: Callable[[socket.socket], None], message: str
) -> None:
    monkeypatch.setattr("sampan.plugins.plugins._ACTIVATION_SECONDS", 1.0)
    with answering(tmp_path / "p.sock", behave):
        began = time.monotonic()
        tracemalloc.start()
        with pytest.raises(PluginBroke, match=message):
            run(plugins(tmp_path).get("p", "VolumeDriver"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - began < 15
    assert peak < 16 << 20


def test_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    came = []

    def dies(connection: socket.socket) -> None:
        came.append(1)

    with answering(tmp_path / "p.sock", dies):
        with pytest.raises(PluginBroke):
            run(plugins(tmp_path).get("p", "VolumeDriver", patience=30))
    assert came == [1]


def test_a_listing_leaves_out_what_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.plugins.plugins._LOOK_SECONDS", 0.5)
    (tmp_path / "wrong.spec").write_text("nonsense")

    async def listed() -> list[str]:
        return [plugin.name for plugin in await plugins(tmp_path).all("VolumeDriver")]

    with served(tmp_path / "good.sock", "VolumeDriver", {}), served(tmp_path / "other.sock", "LogDriver", {}):
        with answering(tmp_path / "slow.sock", _silent):
            assert run(listed()) == ["good"]


def test_a_slow_plugin_does_not_keep_another_waiting(tmp_path: Path) -> None:
    async def both() -> float:
        one = plugins(tmp_path)
        slow = [asyncio.create_task(one.get("slow", "VolumeDriver")) for _ in range(200)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await one.get("good", "VolumeDriver")
        took = time.monotonic() - began
        one.close()
        await asyncio.gather(*slow, return_exceptions=True)
        return took

    with served(tmp_path / "good.sock", "VolumeDriver", {}), answering(tmp_path / "slow.sock", _silent):
        assert run(both()) < 5


def test_calls_beyond_the_most_at_once_wait_within_their_time(tmp_path: Path) -> None:
    async def crowd() -> list[BaseException | Nothing]:
        plugin = await plugins(tmp_path).get("p", "VolumeDriver")
        calls = (plugin.call("VolumeDriver.Slow", None, Nothing, seconds=25.0) for _ in range(150))
        return await asyncio.gather(*calls, return_exceptions=True)

    def slow(_: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.05)
        return {}

    with served(tmp_path / "p.sock", "VolumeDriver", {"VolumeDriver.Slow": slow}):
        assert {type(result) for result in run(crowd())} == {Nothing}


def test_a_stream_comes_in_pieces(tmp_path: Path) -> None:
    async def read() -> bytes:
        plugin = await plugins(tmp_path).get("p", "LogDriver")
        async with plugin.stream("LogDriver.ReadLogs", Name("v")) as pieces:
            return b"".join([piece async for piece in pieces])

    with served(tmp_path / "p.sock", "LogDriver", {"LogDriver.ReadLogs": lambda _: b"x" * 300_000}):
        assert run(read()) == b"x" * 300_000
