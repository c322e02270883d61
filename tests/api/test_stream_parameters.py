"""What `logs`, `wait` and `resize` take, with real containers, as Docker was seen to answer."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.api.scenes import Box, Stream
from tests.daemons import Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture(autouse=True)
def _streams_closed() -> Iterator[None]:
    yield
    while Stream.opened:
        Stream.opened.pop().close()


@pytest.fixture(scope="module")
def said(engine: Sampan) -> Box:
    """A container that has said 0 to 4 and ended, every second line as an error."""
    script = "for i in 0 1 2 3 4; do echo $i >/dev/fd/$((i % 2 + 1)); sleep 0.1; done"
    labels = {"part": "a b", "other": "c"}
    log = {"LogConfig": {"Type": "json-file", "Config": {"labels": "part,other"}}}
    box = Box(engine, "sh", "-c", script, host={**NO_NETWORK, **log}, Labels=labels).start()
    box.ended(0)
    return box


def logs(box: Box, query: str) -> bytes:
    """The lines, frame headers left out."""
    answer = box.engine.api("GET", f"/containers/{box.id}/logs?{query}")
    assert answer.status == 200, answer.body
    lines, raw = b"", answer.body
    while raw:
        size = int.from_bytes(raw[4:8], "big")
        lines += raw[8 : 8 + size]
        raw = raw[8 + size :]
    return lines


BOTH = "stdout=1&stderr=1"


@pytest.mark.parametrize(
    ("query", "digits"),
    [
        (BOTH, "01234"),
        ("stdout=1", "024"),
        ("stderr=1", "13"),
        (f"{BOTH}&tail=2", "34"),
        ("stdout=1&tail=2", "4"),
        (f"{BOTH}&tail=all", "01234"),
        (f"{BOTH}&tail=0", ""),
        (f"{BOTH}&tail=-1", "01234"),
        (f"{BOTH}&tail=100", "01234"),
        (f"{BOTH}&tail=x", "01234"),
        (f"{BOTH}&since=0", "01234"),
        (f"{BOTH}&since=9999999999", ""),
        (f"{BOTH}&until=0", "01234"),
        (f"{BOTH}&until=1", ""),
        (f"{BOTH}&until=9999999999.5", "01234"),
        (f"{BOTH}&follow=1", "01234"),
        (f"{BOTH}&follow=1&tail=1", "4"),
    ],
)
def test_which_lines(said: Box, query: str, digits: str) -> None:
    assert logs(said, query) == b"".join(b"%c\n" % ord(digit) for digit in digits)


def moments(box: Box) -> list[str]:
    """The times of its lines, as text."""
    return [line.split(b" ")[0].decode() for line in logs(box, f"{BOTH}&timestamps=1").splitlines()]


def epoch(text: str) -> str:
    """RFC 3339 with nine digits as `seconds.nanoseconds`."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{int(datetime.fromisoformat(whole + '+00:00').timestamp())}.{fraction}"


def test_bounds_are_to_the_nanosecond(said: Box) -> None:
    texts = moments(said)
    assert [len(text) for text in texts] == [30] * 5
    third = epoch(texts[2])
    seconds, nanoseconds = third.split(".")
    later = f"{seconds}.{int(nanoseconds) + 1:09}"
    assert logs(said, f"{BOTH}&since={third}") == b"2\n3\n4\n"
    assert logs(said, f"{BOTH}&until={third}") == b"0\n1\n2\n"
    assert logs(said, f"{BOTH}&since={third}&until={third}") == b"2\n"
    assert logs(said, f"{BOTH}&since={later}") == b"3\n4\n"


def test_the_command_takes_dates_with_nanoseconds(said: Box) -> None:
    texts = moments(said)
    outcome = said.engine.docker("logs", "--since", texts[1], "--until", texts[3], said.id)
    assert (outcome.out, outcome.err) == (b"2\n", b"1\n3\n")


def test_timestamps_and_details(said: Box) -> None:
    first = moments(said)[0].encode()
    assert logs(said, f"{BOTH}&details=1").startswith(b"other=c,part=a+b 0\n")
    assert logs(said, f"{BOTH}&details=1&timestamps=1").startswith(first + b" other=c,part=a+b 0\n")


def test_follow_ends_with_the_first_line_beyond_until(engine: Sampan) -> None:
    box = Box(engine, "cat", host=NO_NETWORK, OpenStdin=True)
    stream = box.attach()
    box.start()
    stream.say(b"early\n")
    stream.expect(b"early\n")
    until = time.time() + 1
    followed = Stream(engine, f"/containers/{box.id}/logs?{BOTH}&follow=1&until={until:.9f}", "GET", hijack=False)
    followed.expect(b"early\n")
    eventually(lambda: time.time() > until + 0.1, "time stands still")
    stream.say(b"late\n")
    followed.expect_end()
    assert b"late" not in followed.seen
    assert followed.seen.endswith(b"\r\n0\r\n\r\n")
    assert box.state()["Running"]
    box.remove()


class Waiting:
    """A `wait` under way. Its head has come when this is made: what happens from here on is noticed."""

    def __init__(self, box: Box, condition: str) -> None:
        self.stream = Stream(box.engine, f"/containers/{box.id}/wait?condition={condition}", hijack=False)

    def answer(self) -> object:
        self.stream.expect_end()
        return json.loads(self.stream.seen.split(b"\r\n")[1])


def test_wait_for_each_condition(engine: Sampan) -> None:
    box = Box(engine, "sh", "-c", "read -r x; exit 3", host=NO_NETWORK, OpenStdin=True)
    assert Waiting(box, "not-running").answer() == {"StatusCode": 0}
    waiting = {name: Waiting(box, name) for name in ("next-exit", "removed")}
    stream = box.attach()
    box.start()
    waiting["not-running"] = Waiting(box, "not-running")
    waiting[""] = Waiting(box, "")
    stream.say(b"\n")
    for name in ("not-running", "next-exit", ""):
        assert waiting[name].answer() == {"StatusCode": 3}, name
    assert Waiting(box, "not-running").answer() == {"StatusCode": 3}
    box.remove()
    assert waiting["removed"].answer() == {"StatusCode": 3}


@pytest.mark.parametrize("condition", ["removed", "next-exit", "not-running"])
def test_wait_ends_with_a_removal_by_force(engine: Sampan, condition: str) -> None:
    box = Box(engine, "sleep", "1000", host=NO_NETWORK).start()
    waiting = Waiting(box, condition)
    box.remove()
    assert waiting.answer() == {"StatusCode": 137}


def test_wait_hears_each_run_of_a_restart_policy(engine: Sampan) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    box = Box(engine, "sh", "-c", "sleep 0.2; exit 4", host={**NO_NETWORK, **policy})
    first, last = Waiting(box, "next-exit"), Waiting(box, "removed")
    box.start()
    assert first.answer() == {"StatusCode": 4}
    assert Waiting(box, "not-running").answer() == {"StatusCode": 4}
    eventually(lambda: box.state()["Status"] == "exited", "it goes on for ever")
    box.remove()
    assert last.answer() == {"StatusCode": 4}


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("?condition=bogus", 400, 'invalid condition: "bogus"'),
        ("?condition=NOT-RUNNING", 400, 'invalid condition: "NOT-RUNNING"'),
    ],
)
def test_conditions_that_are_none(said: Box, query: str, status: int, message: str) -> None:
    answer = said.engine.api("POST", f"/containers/{said.id}/wait{query}")
    assert (answer.status, json.loads(answer.body)) == (status, {"message": message})


SIZES = [
    ("h=41&w=97", 200, ""),
    ("h=0&w=0", 200, ""),
    ("h=65536&w=65537", 200, ""),
    ("h=4294967295&w=1", 200, ""),
    ("h=4294967296&w=1", 400, 'invalid resize height "4294967296": value out of range'),
    ("h=-1&w=1", 400, 'invalid resize height "-1": value out of range'),
    ("h=1", 400, 'invalid resize width "": invalid syntax'),
    ("w=1", 400, 'invalid resize height "": invalid syntax'),
    ("h=1.5&w=1", 400, 'invalid resize height "1.5": invalid syntax'),
    ("h=+5&w=1", 400, 'invalid resize height " 5": invalid syntax'),
]


@pytest.fixture(scope="module", params=[True, False], ids=["terminal", "none"])
def box(request: pytest.FixtureRequest, engine: Sampan) -> Iterator[Box]:
    made = Box(engine, "sleep", "1000", host=NO_NETWORK, Tty=request.param).start()
    yield made
    made.remove()


@pytest.mark.parametrize(("query", "status", "message"), SIZES)
def test_sizes(box: Box, query: str, status: int, message: str) -> None:
    answer = box.engine.api("POST", f"/containers/{box.id}/resize?{query}")
    assert answer.status == status, answer.body
    assert not message or json.loads(answer.body) == {"message": message}


def test_a_size_arrives(engine: Sampan) -> None:
    made = Box(engine, "sh", host=NO_NETWORK, Tty=True, OpenStdin=True)
    stream = made.attach()
    made.start()
    for query, shown in (("h=41&w=97", b"41 97"), ("h=65586&w=131132", b"50 60")):
        assert engine.api("POST", f"/containers/{made.id}/resize?{query}").status == 200
        stream.seen = b""
        stream.say(b"stty size\n")
        stream.expect(shown + b"\r\n")
    made.remove()


@pytest.mark.parametrize(("state", "status"), [("created", 409), ("exited", 409), ("nosuch", 404)])
def test_sizes_of_what_does_not_run(engine: Sampan, said: Box, state: str, status: int) -> None:
    name = said.id if state == "exited" else state
    made = Box(engine, "sh", host=NO_NETWORK, Tty=True) if state == "created" else None
    answer = engine.api("POST", f"/containers/{made.id if made else name}/resize?h=1&w=1")
    assert answer.status == status
    if status == 409:
        assert b"is not running" in answer.body
    if made:
        made.remove()


def new_exec(box: Box, script: str, tty: bool = True) -> str:
    asked = {"Cmd": ["sh", "-c", script], "AttachStdin": True, "AttachStdout": True, "Tty": tty}
    made = box.engine.api("POST", f"/containers/{box.id}/exec", asked).json()
    assert isinstance(made, dict)
    return str(made["Id"])


def test_a_size_that_comes_before_an_exec_s_start_waits_for_it(engine: Sampan) -> None:
    box = Box(engine, "sleep", "1000", host=NO_NETWORK).start()
    name = new_exec(box, "read -r x; stty size")
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(engine.api("POST", f"/exec/{name}/resize?h=33&w=44").status)
    )
    asking.start()
    stream = Stream(engine, f"/exec/{name}/start")
    asking.join()
    assert answers == [200]
    stream.say(b"\n")
    stream.expect(b"33 44")
    stream.expect_end()
    eventually(lambda: engine.api("POST", f"/exec/{name}/resize?h=1&w=1").status == 404, "it can still be resized")
    assert engine.api("POST", f"/exec/{name}/resize?h=x&w=1").status == 400
    assert engine.api("POST", "/exec/nosuch/resize?h=1&w=1").status == 404
    without = new_exec(box, "sleep 1000", tty=False)
    stream = Stream(engine, f"/exec/{without}/start")
    assert engine.api("POST", f"/exec/{without}/resize?h=1&w=1").status == 200
    box.remove()
