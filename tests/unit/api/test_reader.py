"""Requests are taken apart as h11 takes them apart, wherever the network cuts them; what is doubtful is refused."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.api.reader import Head, Malformed, RequestReader

GET = b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n"


def read_all(pieces: list[bytes]) -> tuple[Head | None, bytes, bytes]:
    """Head, body and what lies behind them."""
    reader = RequestReader()
    head: Head | None = None
    body = b""
    done = False
    for piece in pieces:
        reader.feed(piece)
        if head is None:
            head = reader.head()
        while head is not None and not done:
            chunk = reader.chunk()
            if chunk is None:
                break
            body += chunk
            done = chunk == b""
    return head, body, reader.take_rest() if done else b""


def by_h11(raw: bytes) -> tuple[bytes, bytes, dict[bytes, bytes], bytes, bytes]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.method, head.target, dict(head.headers), body, connection.trailing_data[0]


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-_!#", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if b > 0x20 and b != 0x7F))
BODY = st.binary(max_size=300)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    headers = [(b"Host", b"a")]
    headers += [
        (name, value)
        for name, value in draw(st.dictionaries(TOKEN, VALUE, max_size=6)).items()
        if name not in (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection", b"upgrade")
    ]
    body = draw(BODY)
    framing = draw(st.sampled_from(["none", "length", "chunks"]))
    wire = b""
    if framing == "length":
        headers.append((b"Content-Length", str(len(body)).encode()))
        wire = body
    elif framing == "chunks":
        headers.append((b"Transfer-Encoding", b"chunked"))
        size = draw(st.integers(1, 60))
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            wire += b"%x\r\n%b\r\n" % (len(piece), piece)
        wire += draw(st.sampled_from([b"0\r\n\r\n", b"0;x=1\r\nTrailer: y\r\n\r\n"]))
    lines = b"".join(
        name + b":" + draw(st.sampled_from([b"", b" ", b"\t "])) + value + b"\r\n" for name, value in headers
    )
    behind = draw(st.sampled_from([b"", b"hello", GET]))
    return b"POST /containers/x%20y/attach?stream=1 HTTP/1.1\r\n" + lines + b"\r\n" + wire + behind


@settings(max_examples=60, deadline=None, derandomize=True)
@given(requests(), st.lists(st.integers(1, 40), max_size=30))
def test_same_as_h11_however_it_is_cut(raw: bytes, cuts: list[int]) -> None:
    pieces = []
    rest = raw
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    head, body, behind = read_all([piece for piece in pieces if piece])
    assert head is not None
    assert (head.method.encode(), head.target.encode(), head.headers, body, behind) == by_h11(raw)


def test_byte_by_byte() -> None:
    raw = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;q\r\nde\r\n0\r\n\r\nrest"
    head, body, behind = read_all([raw[at : at + 1] for at in range(len(raw))])
    assert head is not None
    assert head.has_body
    assert body == b"abcde"
    assert behind == b"rest"


def test_pipelined_requests() -> None:
    reader = RequestReader()
    reader.feed(b"\r\n" + GET + b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + GET)
    first = reader.head()
    assert first is not None
    assert first.target == "/info"
    assert reader.chunk() == b""
    second = reader.head()
    assert second is not None
    assert second.target == "/y"
    assert (reader.chunk(), reader.chunk()) == (b"hi", b"")
    third = reader.head()
    assert third is not None
    assert third.method == "GET"
    assert not reader.begun


REFUSED = {
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400),
    "a bare carriage return": (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400),
    "a NUL": (b"GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n", 400),
    "a folded line": (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\n: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "another version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no text at all": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    "length and chunks": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "two lengths": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a signed length": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
    "a list of lengths": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
    "a huge length": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "another coding": (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunks in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a large head": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "a head without end": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_heads(name: str) -> None:
    raw, status = REFUSED[name]
    reader = RequestReader()
    reader.feed(raw)
    with pytest.raises(Malformed) as caught:
        reader.head()
    assert caught.value.status == status


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"-1\r\n",
        b"1\r\nab\r\n",
        b"1\nab\r\n",
        b"1" * 16 + b"\r\n",
        b"1;" + b"x" * 300,
        b"1;\x00\r\na",
        b" 1\r\na",
        b"\r\n",
    ],
)
def test_refused_chunks(chunks: bytes) -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert reader.head() is not None
    with pytest.raises(Malformed):
        while reader.chunk() is not None:
            pass


def test_trailers_have_an_end() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 5000)
    assert reader.head() is not None
    with pytest.raises(Malformed):
        reader.chunk()


def test_spaces_take_no_time() -> None:
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: a" + b" " * 60_000 + b"b\r\n\r\n")
    head = reader.head()
    assert head is not None
    assert len(head.headers[b"x"]) == 60_002


def test_repeated_fields_are_joined() -> None:
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nconnection: close\r\n\r\n")
    head = reader.head()
    assert head is not None
    assert head.headers[b"connection"] == b"Upgrade, close"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_refused(raw: bytes) -> None:
    reader = RequestReader()
    reader.feed(raw)
    status = 0
    try:
        if reader.head() is not None:
            while reader.chunk():
                pass
    except Malformed as error:
        status = error.status
    assert status in (0, 400, 431, 501, 505)


def test_a_request_behind_many_empty_lines_is_found() -> None:
    """What was looked through of a buffer that is gone says nothing of the next one."""
    reader = RequestReader()
    reader.feed(GET)
    assert reader.head() is not None
    assert reader.chunk() == b""
    reader.feed(b"\r\n" * 200)
    assert reader.head() is None
    reader.feed(GET)
    assert reader.head() is not None
