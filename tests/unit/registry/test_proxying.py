"""Which proxy a request goes through."""

import pytest

from sampan.registry.proxying import masked, proxy_for
from sampan.registry.settings import Proxies

P = Proxies("http://p:1", "https://s:2", "skip.example, .dotted.example,*.star.example,10.0.0.0/8,with.port:5000,::2")


@pytest.mark.parametrize(
    ("scheme", "address", "expected"),
    [
        ("http", "r.example", "http://p:1"),
        ("https", "r.example:5000", "https://s:2"),
        ("https", "localhost:5000", ""),
        ("https", "127.0.0.9:5000", ""),
        ("https", "[::1]:5000", ""),
        ("https", "skip.example", ""),
        ("https", "SKIP.example:5000", ""),
        ("https", "below.skip.example", ""),
        ("https", "noskip.example", "https://s:2"),
        ("https", "dotted.example", "https://s:2"),
        ("https", "a.dotted.example", ""),
        ("https", "a.star.example", ""),
        ("https", "10.9.8.7:443", ""),
        ("https", "11.9.8.7", "https://s:2"),
        ("https", "with.port:5000", ""),
        ("https", "with.port", "https://s:2"),
        ("https", "[::2]:5000", ""),
    ],
)
def test_proxy_for(scheme: str, address: str, expected: str) -> None:
    assert proxy_for(P, scheme, address) == expected


def test_all_or_none() -> None:
    assert proxy_for(Proxies("", "p:1", "*"), "https", "r.example") == ""
    assert proxy_for(Proxies("", "p:1"), "https", "r.example") == "http://p:1"
    assert proxy_for(Proxies("", "p:1"), "http", "r.example") == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://user:secret@p:1/x", "http://xxxxx:xxxxx@p:1/x"),
        ("http://user@p:1", "http://xxxxx:xxxxx@p:1"),
        ("http://p:1", "http://p:1"),
        ("", ""),
    ],
)
def test_masked(url: str, expected: str) -> None:
    assert masked(url) == expected
