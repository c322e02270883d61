"""What the client makes of headers and addresses."""

import io
import time
from email.utils import formatdate

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from sampan.registry.conversation import Conversation, resolved, retry_after
from sampan.registry.faults import Untrustworthy
from sampan.registry.host import Host
from sampan.registry.limits import RateLimit, about_refusal, told
from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Settings
from sampan.registry.transport import Answer


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("7", 7), ("-3", 0), ("soon", 0), ("1.5", 0), ("٣", 0)])
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_retry_after_a_date() -> None:
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 61
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0


@given(st.text(max_size=100))
def test_retry_after_anything(text: str) -> None:
    assert retry_after(text) >= 0


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/x", "https://r.example/v2/x"),
        ("?a=b", "https://r.example/v2/a?a=b"),
        ("https://other.example:5000/x", "https://other.example:5000/x"),
        ("//other.example/x", "https://other.example/x"),
    ],
)
def test_locations(location: str, url: str) -> None:
    assert resolved("https://r.example/v2/a", location) == url


@given(st.text(max_size=200))
def test_locations_lead_to_the_web_or_nowhere(location: str) -> None:
    try:
        url = resolved("https://r.example/v2/a", location)
    except Untrustworthy:
        return
    assert url.startswith(("http://", "https://"))
    assert url.isascii()
    assert url.isprintable()


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://r.example/x", True),
        ("https://r.example:443/x", True),
        ("https://R.EXAMPLE/x", True),
        ("https://r.example:5000/x", False),
        ("https://sub.r.example/x", False),
        ("https://r.example.evil/x", False),
    ],
)
def test_whose_a_url_is(url: str, own: bool) -> None:
    registries = RemoteRegistries(Settings())
    conversation = Conversation(registries._means, Host("https", "r.example"), Credentials("me", "secret"))
    assert (conversation._place(url) is conversation.host) is own


def test_rate_limits() -> None:
    headers = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "7", "Docker-RateLimit-Source": "x\x1b"}
    assert told(headers) == RateLimit(100, 7, 21600, "")
    assert told({}) is None
    assert told({"RateLimit-Limit": "lots"}) is None


@pytest.mark.parametrize(
    ("limit", "said", "low"),
    [
        (RateLimit(100, 76, 21600), "76 of 100 pulls left in 6 hours", False),
        (RateLimit(100, 10, 90), "10 of 100 pulls left in 90 seconds", True),
        (RateLimit(None, 0), "0 pulls left", False),
    ],
)
def test_limits_as_they_are_told(limit: RateLimit, said: str, low: bool) -> None:
    assert (str(limit), limit.is_low) == (said, low)


def test_what_a_refusal_says_beyond_its_words() -> None:
    headers = {"RateLimit-Limit": "100;w=3600"}
    assert about_refusal(headers, 59.5) == "100 pulls in 1 hour are allowed, ask again in 1 minute"
    assert about_refusal({}, 1) == "ask again in 1 second"
    assert about_refusal({}, 0) == ""


def test_done_with_an_answer_of_unknown_length() -> None:
    began = time.process_time()
    for _ in range(300):
        response = urllib3.HTTPResponse(io.BytesIO(b"some"), preload_content=False)
        Answer(response, "", "", float("inf")).discard()
        assert response.closed
    # Four milliseconds each, when the length that is not there was looked for among all that are short.
    assert time.process_time() - began < 0.4
