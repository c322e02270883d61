"""Files from web addresses, over a real server on loopback: redirects, refusals, answers that break off."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError, System, Unauthorized
from sampan.registry.fetching import Fetcher
from sampan.registry.settings import Settings

CONTENT = b"a tar" * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        heard.append(dict(self.headers.items()))
        name, _, rest = self.path[1:].partition("/")
        if name == "to":
            self.send_response(302)
            count = int(rest)
            self.send_header("Location", f"/to/{count - 1}" if count else "/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name == "nowhere":
            self.send_response(302)
            self.send_header("Location", "http://[")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name == "elsewhere":
            self.send_response(301)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif name == "status":
            self.send_response(int(rest))
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"why\n")
        else:
            self.send_response(200)
            if name != "unsized":
                self.send_header("Content-Length", str(len(CONTENT) + (10 if name == "short" else 0)))
            self.end_headers()
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


heard: list[dict[str, str]] = []


@pytest.fixture
def server() -> Iterator[str]:
    heard.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(Settings())
    yield made
    made.close()


def body(fetcher: Fetcher, url: str) -> tuple[int, bytes]:
    with fetcher.open(url) as fetched:
        parts = []
        while part := fetched.read(1000):
            parts.append(part)
        return fetched.size, b"".join(parts)


def test_a_file(fetcher: Fetcher, server: str) -> None:
    assert body(fetcher, f"{server}/file") == (len(CONTENT), CONTENT)
    assert body(fetcher, f"{server}/unsized") == (0, CONTENT)
    assert all("Authorization" not in headers for headers in heard)


def test_redirects_have_an_end(fetcher: Fetcher, server: str) -> None:
    assert body(fetcher, f"{server}/to/9")[1] == CONTENT
    with pytest.raises(System, match="stopped after 10 redirects"):
        fetcher.open(f"{server}/to/10")


def test_redirects_lead_to_the_web_only(fetcher: Fetcher, server: str) -> None:
    with pytest.raises(InvalidParameter, match="only http and https"):
        fetcher.open(f"{server}/elsewhere")


def test_a_redirect_that_is_no_address(fetcher: Fetcher, server: str) -> None:
    with pytest.raises(System, match=r"led to 'http://\['"):
        fetcher.open(f"{server}/nowhere")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidParameter), (401, Unauthorized), (403, Forbidden), (404, NotFound), (500, System), (204, System)],
)
def test_refusals_in_dockers_words(fetcher: Fetcher, server: str, status: int, kind: type[SampanError]) -> None:
    with pytest.raises(kind) as refused:
        fetcher.open(f"{server}/status/{status}")
    assert str(refused.value).startswith(f"failed to GET {server}/status/{status} with status {status} ")


def test_an_answer_that_breaks_off(fetcher: Fetcher, server: str) -> None:
    with pytest.raises(System):
        body(fetcher, f"{server}/short")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://", "ftp://a/b", "http://a:b/", "http://u:p@a/b", "http://[::1"]
)
def test_what_is_no_address(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(InvalidParameter):
        fetcher.open(url)
