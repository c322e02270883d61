"""Statuses, sub-requests, filters of the cache, headers, details of errors: the pure parts."""

import asyncio
import base64
import json

import pytest
from grpclib.const import Status

from sampan.build.planning import Wish
from sampan.build.progress import LogEvent, Number, Reporter, WarningEvent
from sampan.buildkit import faults
from sampan.buildkit.connections import Details
from sampan.buildkit.metadata import encoded
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol import status_pb2
from sampan.buildkit.sessions import offer_of
from sampan.buildkit.statuses import Statuses
from sampan.buildkit.subrequests import answer, mount_ids
from sampan.buildkit.usage_filters import filtered
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.faults import Position, Range
from sampan.dockerfile.parse import parse
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere
from sampan.spec.disk import BuildCache
from sampan.spec.oci_image import Platform

HERE = Platform(os="linux", architecture="amd64")
WISH = Wish(Machines(HERE, HERE))
FILE = """# tool makes things
FROM busybox AS tool
# V is a version
ARG V=1
ENV a b
RUN --mount=type=secret,target=/x/key --mount=type=ssh,required true
FROM tool
"""


def test_statuses_reach_early_and_late_listeners() -> None:
    async def play() -> None:
        statuses = Statuses("ref")
        reporter = Reporter(statuses, lambda: 5 * 10**9 + 7)
        early = asyncio.get_running_loop().create_task(_all(statuses))
        await asyncio.sleep(0)
        first = reporter.announce("FROM busybox")
        second = reporter.announce("RUN make", [first])
        reporter.hit(first)
        reporter.start(second)
        statuses.tell(LogEvent(vertex=second, at=9, data=b"out", stream=2))
        reporter.warn(WarningEvent(rule="R", message="m", line=3, end=4, vertex=first))
        reporter.end(second, "it failed")
        statuses.end()
        late = await _all(statuses)
        assert await early == late
        vertexes = [one for message in late for one in message.vertexes]
        assert [(one.name, one.cached, one.error) for one in vertexes[-3:]] == [
            ("FROM busybox", True, ""),
            ("RUN make", False, ""),
            ("RUN make", False, "it failed"),
        ]
        assert list(vertexes[-1].inputs) == [statuses.digest(first)]
        assert (vertexes[-1].started.seconds, vertexes[-1].started.nanos) == (5, 7)
        (log,) = [one for message in late for one in message.logs]
        assert (log.msg, log.stream, log.vertex) == (b"out", 2, statuses.digest(second))
        (warning,) = [one for message in late for one in message.warnings]
        assert (warning.short, warning.ranges[0].start.line, warning.ranges[0].end.line) == (b"R: m (line 3)", 3, 4)

    asyncio.run(play())


async def _all(statuses: Statuses) -> list[control.StatusResponse]:
    whole = control.StatusResponse()
    async for message in statuses.messages():
        whole.MergeFrom(message)
    return [whole]


def test_what_is_kept_of_a_long_build_is_bounded() -> None:
    async def play() -> None:
        statuses = Statuses("ref")
        for _ in range(200):
            statuses.tell(LogEvent(vertex=Number(1), at=1, data=b"x" * 65536))
        statuses.end()
        (whole,) = await _all(statuses)
        assert 100 <= len(whole.logs) < 130

    asyncio.run(play())


def test_targets_outline_and_lint() -> None:
    dockerfile = parse(FILE)
    targets = json.loads(answer("frontend.targets", "Dockerfile", FILE, dockerfile, WISH)["result.json"])
    assert [(one.get("name"), one.get("default"), one.get("description")) for one in targets["targets"]] == [
        ("tool", None, "makes things"),
        (None, True, None),
    ]
    outline = json.loads(answer("frontend.outline", "Dockerfile", FILE, dockerfile, WISH)["result.json"])
    assert [(one["name"], one["value"], one["description"]) for one in outline["args"]] == [("V", "1", "is a version")]
    assert [one["name"] for one in outline["secrets"]] == ["key"]
    assert [(one["name"], one["required"]) for one in outline["ssh"]] == [("default", True)]
    found = answer("frontend.lint", "Dockerfile", FILE, dockerfile, WISH)
    lint = json.loads(found["result.json"])
    assert [(one["ruleName"], one["location"]["ranges"][0]["start"]["line"]) for one in lint["warnings"]] == [
        ("LegacyKeyValueFormat", 5)
    ]
    assert base64.b64decode(lint["sources"][0]["data"]).decode() == FILE
    assert found["result.statuscode"] == b"1"
    with pytest.raises(NotImplementedHere, match=r"unsupported request frontend\.wonder"):
        answer("frontend.wonder", "Dockerfile", FILE, dockerfile, WISH)


def test_ids_of_mounts() -> None:
    run = parse("FROM a\nRUN --mount=type=secret,id=k --mount=type=cache,target=/c true\n").stages[0].instructions[0]
    assert mount_ids(run, "secret") == [("k", False)]
    assert mount_ids(run, "cache") == [("/c", False)]
    assert mount_ids(run, "ssh") == []


def _record(name: str, kind: str, shared: bool = False) -> BuildCache:
    return BuildCache(
        id=name, parents=None, type=kind, description=f"does {name}", in_use=False, shared=shared, size=1,
        created_at="2026-01-01T00:00:00Z", last_used_at=None, usage_count=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ((), "abc"),
        (("",), "abc"),
        (("type==regular",), "ac"),
        (("type=exec.cachemount",), "b"),
        (("id~=^[bc]$",), "bc"),
        (("id!=a",), "bc"),
        (("shared",), "c"),
        (("type==regular,shared==false",), "a"),
        (("id==a", "id==b"), "ab"),
    ],
)
def test_filters_of_the_cache(filters: tuple[str, ...], names: str) -> None:
    records = [_record("a", "regular"), _record("b", "exec.cachemount"), _record("c", "regular", shared=True)]
    assert "".join(one.id for one in filtered(records, filters)) == names


@pytest.mark.parametrize("text", ["wonder==1", "id~=(", "==", "id" * 200])
def test_filters_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter):
        filtered([], [text])


def test_headers_are_ascii() -> None:
    assert encoded({"a": ["x y", "z"]}) == [("a", "x y"), ("a", "z")]
    assert encoded({"a": ["ü b", "/c"]}) == [("a", "%C3%BC+b"), ("a", "%2Fc"), ("a-encoded", "1")]


def test_an_offer_of_a_session() -> None:
    offer = offer_of({b"x-docker-expose-session-uuid": b"i", b"x-docker-expose-session-grpc-method": b"/A/B, /c/D"})
    assert (offer.id, offer.methods) == ("i", frozenset({"/a/b", "/c/d"}))
    with pytest.raises(InvalidParameter, match="no session id"):
        offer_of({})
    with pytest.raises(InvalidParameter, match="too long"):
        offer_of({b"x-docker-expose-session-uuid": b"i" * 300})


def test_details_tell_the_place_and_have_room() -> None:
    at = Range(Position(400, 1), Position(400, 9))
    text = "\n".join(f"RUN line {number}" for number in range(1, 2000))
    url, document = faults.source_detail("Dockerfile", text, at)
    assert not isinstance(document, bytes)
    shown = base64.b64decode(str(document["info"]["data"])).decode().split("\n")  # type: ignore[index]
    assert shown[399] == "RUN line 400"
    assert len(shown) == 404
    coded = Details().encode(Status.UNKNOWN, "m" * 9000, [(url, document), ("too/long", b"x" * 9000)])
    read = status_pb2.Status.FromString(coded)
    assert [one.type_url for one in read.details] == [url]
    assert len(coded) < 7000


def test_kinds_of_errors() -> None:
    assert faults.status_of(NotFound("x")) is Status.NOT_FOUND
    assert faults.status_of(OSError(28, "no room")) is Status.UNKNOWN
