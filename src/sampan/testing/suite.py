"""What the suites share: a driver served at a socket for one test, and asked there in JSON."""

import json
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any, ClassVar

from sampan.drivers.asking import asked
from sampan.drivers.calls import Book
from sampan.drivers.loading import SERVED
from sampan.drivers.serving import Server

SECONDS = 30.0
"""What a driver may take for an answer."""


class Refusal(Exception):
    """The driver answered that it cannot; the text is its reason."""


class Suite:
    """Base of the suites. Each test has a driver, a home and a directory of its own."""

    kind: ClassVar[str]
    """What the plugin protocol calls it."""
    address: ClassVar[str] = ""
    """The socket of a plugin that runs already, instead of `driver`."""

    def driver(self, home: Path) -> object:
        """The driver to be tested, with `home` for its own files."""
        raise NotImplementedError("a suite says which driver it tests: def driver(self, home) -> …, or address = …")

    def setup_method(self) -> None:
        """Before each test; called by pytest and by `sampan.testing.running`."""
        self.directory = Path(tempfile.mkdtemp(prefix="sampan-testing-"))
        self.home = self.directory / "home"
        self.home.mkdir(mode=0o700)
        self._served: _Served | None = None
        if not self.address:
            self._served = _Served(self.directory / "socket", self.kind, self.driver(self.home))

    def teardown_method(self) -> None:
        """After each test."""
        if self._served is not None:
            self._served.close()
        shutil.rmtree(self.directory, ignore_errors=True)  # noqa: TID251 - nobody else knows its name

    def begin_anew(self) -> bool:
        """The daemon was started again: another process, the same home. False where that cannot be had (`address`)."""
        if self._served is None:
            return False
        self._served.close()
        self._served = _Served(self.directory / "socket", self.kind, self.driver(self.home))
        return True

    def ask(self, method: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a JSON document
        """Post a document; `method` without its kind. Raises Refusal, AssertionError for an answer out of form."""
        full = method if "." in method else f"{self.kind}.{method}"
        status, body = asked(
            self.address or str(self.directory / "socket"), full, json.dumps(members).encode(), SECONDS
        )
        answer = json.loads(body)
        assert isinstance(answer, dict), f"{full}: the answer is no JSON object: {body[:200]!r}"
        if answer.get("Err") or status != 200:
            assert answer.get("Err"), f"{full}: a refusal (status {status}) has no reason"
            raise Refusal(answer["Err"])
        return answer

    def refused(self, method: str, **members: Any) -> str:  # noqa: ANN401 - as above
        """The reason of a refusal. Raises AssertionError where it was none."""
        try:
            answer = self.ask(method, **members)
        except Refusal as refusal:
            return str(refusal)
        raise AssertionError(f"{method} was to be refused and answered {answer}")

    def test_it_says_what_it_is(self) -> None:
        """Plugin.Activate names the kind."""
        assert self.kind in self.ask("Plugin.Activate")["Implements"]

    def test_an_unknown_method_is_refused(self) -> None:
        """Later versions of the protocol may ask for more."""
        assert self.refused(f"{self.kind}.NoSuchMethod")


class _Served:
    """A driver at a socket, in a thread of this process."""

    def __init__(self, path: Path, kind: str, driver: object) -> None:
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        listening.listen(16)
        self._server = Server(listening, Book({kind: SERVED[kind](driver)}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
