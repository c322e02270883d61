"""DNS on the wire: what is read, what is refused, what is answered; and what may be kept for how long."""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.network import dns
from sampan.network.answers import Answers
from tests.nameserver import addresses, code, query

ADDRESS = socket.inet_aton("10.9.0.2")


def response(packet: bytes, ttl: int = 60, code: int = 0) -> bytes:
    return dns.answer(packet, dns.parse_query(packet), [(dns.A, ADDRESS)], ttl, code)


def test_a_question_and_its_answer() -> None:
    packet = query("Web.Example.com")
    question = dns.parse_query(packet)
    assert (question.name, question.kind, question.end, question.size) == (b"web.example.com", dns.A, len(packet), 512)
    made = response(packet)
    assert made[:2] == packet[:2]
    assert addresses(made) == ["10.9.0.2"]
    assert b"Example" in made  # spelt as it was asked for
    with_options = dns.parse_query(query("web", size=1400))
    assert (with_options.size, with_options.has_options) == (1400, True)
    assert dns.parse_query(query("web", size=65535)).size == 4096
    assert dns.parse_query(query("web", size=100)).size == 512
    assert response(query("web", size=1400))[10:12] == b"\0\1"


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (b"\0" * 12, dns.FORMAT_ERROR),
        (query("web") * 100, dns.FORMAT_ERROR),
        (query("web")[:-1], dns.FORMAT_ERROR),
        (query("web") + b"\0", dns.FORMAT_ERROR),
        (query("web")[:12] + b"\xc0\x0c\0\1\0\1", dns.FORMAT_ERROR),
        (query("web")[:12] + b"\x3fabc", dns.FORMAT_ERROR),
        (query("web")[:12] + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1", dns.FORMAT_ERROR),
        (query("web")[:4] + b"\0\2" + query("web")[6:], dns.FORMAT_ERROR),
        (query("web")[:6] + b"\0\1" + query("web")[8:], dns.FORMAT_ERROR),
        (query("web")[:2] + b"\x28\0" + query("web")[4:], dns.NOT_IMPLEMENTED),
        (query("web")[:-1] + b"\3", dns.NOT_IMPLEMENTED),
        (query("web", size=1400)[:-1], dns.FORMAT_ERROR),
        (query("web")[:2] + b"\x81\x80" + query("web")[4:], None),
    ],
)
def test_what_is_no_question(packet: bytes, told: int | None) -> None:
    with pytest.raises(dns.BadMessage) as raised:
        dns.parse_query(packet)
    refusal = dns.refusal(packet, raised.value.code)
    assert (code(refusal) if refusal else None) == told


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=600))
def test_whatever_comes_is_read_or_refused(packet: bytes) -> None:
    try:
        question = dns.parse_query(packet)
    except dns.BadMessage as bad:
        told = bad.code
    else:
        assert 12 < question.end <= len(packet)
        return
    assert len(dns.refusal(packet, told)) in (0, 12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_whatever_an_upstream_says_is_read_or_not_kept(rest: bytes) -> None:
    packet = query("web")
    try:
        held = dns.lifetime(packet[:2] + b"\x81\x80\0\1\0\3\0\1\0\1" + packet[12:] + rest, len(packet))
    except dns.BadMessage:
        return
    assert all(offset + 4 <= len(packet) + len(rest) for offset in held.offsets)


def test_what_is_too_large_is_cut_to_the_question() -> None:
    packet = query("web")
    question = dns.parse_query(packet)
    large = dns.answer(packet, question, [(dns.A, ADDRESS)] * 100, 1)
    cut = dns.fitted(large, question)
    assert dns.is_truncated(cut)
    assert cut[12:] == packet[12:]
    assert dns.fitted(response(packet), question) == response(packet)


def test_reverse() -> None:
    assert dns.reverse_address(b"2.0.9.10.in-addr.arpa") == ADDRESS
    six = b"2" + b".0" * 27 + b".9.0.d.f.ip6.arpa"
    assert dns.reverse_address(six) == b"\xfd\x09" + bytes(13) + b"\2"
    for name in (b"ip6.arpa", b"1.ip6.arpa", six.replace(b"9", b"x"), six.replace(b"9", b"99"), b"0." + six):
        assert dns.reverse_address(name) is None
    for name in (b"0.9.10.in-addr.arpa", b"256.0.9.10.in-addr.arpa", b"x.0.9.10.in-addr.arpa", b"2.0.9.10"):
        assert dns.reverse_address(name) is None
    assert dns.encoded_name(b"a.bc") == b"\1a\2bc\0"
    for name in (b"", b"a..b", b"a" * 64, b".".join([b"a" * 60] * 5)):
        with pytest.raises(dns.BadMessage):
            dns.encoded_name(name)


def test_whose_answer_it_is() -> None:
    packet = query("web")
    assert dns.belongs_to(response(packet), packet, len(packet))
    assert not dns.belongs_to(response(query("web", number=9)), packet, len(packet))
    assert not dns.belongs_to(response(query("wab")), packet, len(packet))
    assert not dns.belongs_to(packet, packet, len(packet))
    assert not dns.belongs_to(b"", packet, len(packet))


def soa(packet: bytes, ttl: int) -> bytes:
    """There is no such name, says the zone's own record."""
    head = packet[:2] + b"\x81\x83\0\1\0\0\0\1\0\0"
    return head + packet[12:] + b"\xc0\x0c" + struct.pack(">HHIH", dns.SOA, 1, ttl, 2) + b"\0\0"


def test_how_long_it_is_kept() -> None:
    packet = query("web")
    end, answers = len(packet), Answers()
    answers.keep("s", packet, end, response(packet), 100.0)
    again = query("web", number=9)
    found = answers.find("s", again, 130.5)
    assert found[:2] == again[:2]
    assert struct.unpack_from(">I", found, end + 6)[0] == 30  # half a minute older
    assert answers.find("other", again, 130.0) == b""
    assert answers.find("s", again, 160.0) == b""
    assert len(answers) == 0
    for never in (
        response(packet, ttl=0),
        response(packet, code=2),
        soa(packet, 0),
        packet[:2] + b"\x83\x80" + packet[4:],
    ):
        answers.keep("s", packet, end, never, 100.0)
        assert len(answers) == 0
    answers.keep("s", packet, end, soa(packet, 30), 100.0)
    assert code(answers.find("s", packet, 101.0)) == dns.NAME_ERROR
    answers.keep("s", packet, end, response(packet, ttl=86400), 100.0)
    assert answers.find("s", packet, 100.0 + 301) == b""  # not for a day


def test_it_does_not_grow_for_ever() -> None:
    answers = Answers()
    for number in range(5000):
        packet = query(f"n{number}")
        answers.keep("s", packet, len(packet), response(packet), 1.0)
    assert len(answers) == 4096
    packet = query("large")
    answers.keep("s", packet, len(packet), response(packet) + b"\0" * 5000, 1.0)
    assert len(answers) == 4096
    answers.clear()
    assert len(answers) == 0
