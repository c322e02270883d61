"""Cells of docs/ownership.md for what leads in and out of a program: streams, signals, its log and its end."""

import json
import os
import re
import socket
from pathlib import Path

from tests import processes
from tests.api.collectors import Collector
from tests.api.scenes import FOREVER, Box, Stream, cell, kill, lives, pause, resume, strike
from tests.daemons import Sampan
from tests.waiting import eventually


@cell("stdio", "daemon", "launcher")
def stdio_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "cat", OpenStdin=True)
    stream = box.attach()
    box.start()

    def echoes(text: bytes, on: Stream = stream) -> None:
        on.say(text)
        on.expect(text)

    echoes(b"before\n")
    strike(engine, process, meanwhile=lambda: echoes(b"meanwhile\n"))
    echoes(b"after\n")
    second = box.attach()
    echoes(b"to the next\n", second)
    stream.expect(b"to the next\n")


@cell("stdio", "monitor")
def stdio_ends(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "cat > /dev/null; touch /eof; while :; do sleep 1; done", OpenStdin=True)
    stream = box.attach()
    box.start()
    root = Path(f"/proc/{box.pid()}/root")
    pid = box.monitor()
    pause(engine)  # so that the program lives long enough to see it
    try:
        kill(pid)
        eventually((root / "eof").exists, "no end of file")
        stream.expect_end()
    finally:
        resume(engine)
    box.ended(137)


@cell("stdio", "init")
def stdio_is_drained(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "dd if=/dev/zero bs=1k count=60 2>/dev/null; echo last; exec sleep 1000")
    stream = box.attach()
    box.start()
    eventually(lambda: processes.title(box.pid()) == "sleep 1000", "not written")
    strike(engine, process, box)
    stream.expect_end()
    assert stream.seen.endswith(b"last\n")
    assert stream.seen.count(b"\0") >= 60 * 1024


@cell("pty", "daemon", "launcher")
def pty_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", OpenStdin=True, Tty=True)
    stream = box.attach()
    box.start()
    stream.say(b"echo be''fore\n")
    stream.expect(b"before")
    strike(engine, process)
    assert engine.api("POST", f"/containers/{box.id}/resize?h=41&w=97").status == 200
    stream.say(b"stty size\n")
    stream.expect(b"41 97")


@cell("pty", "monitor")
def pty_hangs_up(engine: Sampan, process: str) -> None:
    script = "trap 'touch /hup' HUP; while :; do sleep 0.1; done"
    box = Box(engine, "sh", "-c", script, OpenStdin=True, Tty=True).start()
    root = Path(f"/proc/{box.pid()}/root")
    eventually(lambda: signal_caught(box.pid(), 1), "no trap")
    pid = box.monitor()
    pause(engine)
    try:
        kill(pid)
        eventually((root / "hup").exists, "no SIGHUP")
    finally:
        resume(engine)
    box.ended(137)


def signal_caught(pid: int, number: int) -> bool:
    found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


@cell("pty", "init")
def pty_is_drained(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo last; exec sleep 1000", OpenStdin=True, Tty=True)
    stream = box.attach()
    box.start()
    eventually(lambda: processes.title(box.pid()) == "sleep 1000", "not written")
    strike(engine, process, box)
    stream.expect_end()
    assert stream.seen == b"last\r\n"
    box.ended(137)


@cell("pidfd", "daemon", "launcher")
def pidfd_signals(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.1; done").start()
    eventually(lambda: signal_caught(box.pid(), 10), "no trap")
    strike(engine, process)
    assert engine.api("POST", f"/containers/{box.id}/kill?signal=USR1").status == 204
    box.ended(9)


@cell("pidfd", "monitor")
def pidfd_leads_to_the_kill(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid = box.pid()
    strike(engine, process, box)
    box.ended(137)
    assert not lives(pid)


@cell("pidfd", "init")
def pidfd_tells_the_monitor(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid = box.pid()
    strike(engine, process, box)
    box.ended(137)
    assert not os.path.exists(f"/proc/{pid}"), "not reaped"


@cell("log", "daemon", "launcher")
def log_loses_nothing(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "while read -r line; do echo $line; done", OpenStdin=True)
    stream = box.attach()
    box.start()

    def write(lines: range) -> None:
        for number in lines:
            stream.say(b"line %d\n" % number)
        stream.expect(b"line %d\n" % lines[-1])

    write(range(100))
    strike(engine, process, meanwhile=lambda: write(range(100, 200)))
    write(range(200, 300))
    eventually(lambda: "line 299\n" in box.logs(), "the last line is not logged")
    assert box.logs() == "".join(f"line {number}\n" for number in range(300))


@cell("log", "monitor")
def log_ends_at_a_whole_record(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo one; echo two; exec sleep 1000").start()
    eventually(lambda: box.logs() == "one\ntwo\n", "not logged")
    strike(engine, process, box)
    box.ended(137)
    with Path(str(box.inspect()["LogPath"])).open("ab") as file:
        file.write(b'{"log":"torn in the mid')
    assert box.logs() == "one\ntwo\n"


def shipped(engine: Sampan, collector: Collector, *command: str) -> Box:
    options = {"syslog-address": f"unix://{collector.address}"}
    return Box(engine, *command, host={"LogConfig": {"Type": "syslog", "Config": options}}, OpenStdin=True)


def collector(engine: Sampan) -> Collector:
    return Collector(socket.AF_UNIX, socket.SOCK_STREAM, str(engine.directory / "collector"))


@cell("log shipping", "daemon", "launcher")
def shipping_goes_on(engine: Sampan, process: str) -> None:
    there = collector(engine)
    box = shipped(engine, there, "sh", "-c", "while read -r line; do echo $line; done")
    stream = box.attach()
    box.start()

    def write(word: bytes) -> None:
        stream.say(word + b"\n")
        eventually(lambda: there.data.endswith(b": " + word + b"\n"), f"{word!r} is not sent")

    write(b"before")
    strike(engine, process, meanwhile=lambda: write(b"meanwhile"))
    write(b"after")
    box.remove()
    there.stop()


@cell("log shipping", "monitor", "init")
def shipping_sends_what_was_written(engine: Sampan, process: str) -> None:
    there = collector(engine)
    there.stop()
    box = shipped(engine, there, "sh", "-c", "echo one; echo two; exec sleep 1000").start()
    eventually(lambda: box.logs() == "one\ntwo\n", "not logged")
    strike(engine, process, box)
    box.ended(137)
    there.start()
    eventually(lambda: there.data.endswith(b": two\n"), "not sent")
    assert there.data.count(b"\n") == 2
    box.remove()
    there.stop()


@cell("log", "init")
def log_gets_what_is_held_back(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo one; printf half; exec sleep 1000")
    stream = box.attach()
    box.start()
    stream.expect(b"half")
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: box.logs() == "one\nhalf", "the half line is lost")


@cell("followed log", "daemon", "launcher")
def follow_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "cat", OpenStdin=True)
    stream = box.attach()
    box.start()
    followed = box.follow()

    def says(line: bytes) -> None:
        stream.say(line)
        followed.expect(line)

    says(b"before\n")
    strike(engine, process, meanwhile=lambda: says(b"meanwhile\n"))
    says(b"after\n")
    assert engine.api("POST", f"/containers/{box.id}/kill").status == 204
    followed.expect_end()
    said = re.findall(rb"[a-z]+\n", followed.seen)
    assert said == [b"before\n", b"meanwhile\n", b"after\n"]
    assert followed.seen.endswith(b"0\r\n\r\n")


@cell("followed log", "monitor", "init")
def follow_ends(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo one; exec sleep 1000").start()
    followed = box.follow()
    followed.expect(b"one\n")
    strike(engine, process, box)
    followed.expect_end()
    assert followed.seen.endswith(b"0\r\n\r\n")
    box.ended(137)


@cell("exit record", "daemon", "launcher")
def exit_is_recorded(engine: Sampan, process: str) -> None:
    boxes = [
        Box(engine, "sh", "-c", "read x; exit 42", host={"AutoRemove": rm}, OpenStdin=True) for rm in (False, True)
    ]
    streams = [box.attach() for box in boxes]
    for box in boxes:
        box.start()

    def end() -> None:
        for stream in streams:
            stream.say(b"go\n")
            stream.expect_end()

    strike(engine, process, meanwhile=end)
    boxes[0].ended(42)
    eventually(lambda: engine.api("GET", f"/containers/{boxes[1].id}/json").status == 404, "--rm has not removed it")
    record = engine.exec_root / "containers" / boxes[0].id
    eventually(lambda: not record.exists(), "the record stays when it is committed")


@cell("exit record", "monitor")
def exit_is_made_up(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    strike(engine, process, box)
    box.ended(137)
    assert box.state()["FinishedAt"] > box.state()["StartedAt"]


@cell("exit record", "init")
def exit_is_written_first(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid, record = box.pid(), engine.exec_root / "containers" / box.id / "record.json"
    assert "exit" not in json.loads(record.read_text())
    pause(engine)
    try:
        kill(pid)
        eventually(lambda: json.loads(record.read_text()).get("exit", {}).get("code") == 137, "no record")
    finally:
        resume(engine)
    box.ended(137)
