"""What every command works with: the configuration, the daemon (found, or started, when first asked for), and the way to speak."""

from __future__ import annotations

import os
import sys

from sampan.cli import config as configuration
from sampan.client.address import DEFAULT_SOCKET
from sampan.client.documents import object_of, text_of
from sampan.client.engine import PING_TIMEOUT, Engine
from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.config import Globals
    from sampan.client.address import Address
    from sampan.client.documents import Document

_OWN_SOCKET = "/sampan/sampan.sock"
"""How the socket of a user's own daemon ends (`rootless.places`)."""
_OWN_PATIENCE = 1.0


class Session:
    """One run of the command. `engine` connects at its first use, and starts a daemon where the default socket has none."""

    def __init__(self, given: Globals) -> None:
        self.given = given
        self._config: Document | None = None
        self._address: Address | None = None
        self._engine: Engine | None = None

    @property
    def config(self) -> Document:
        """config.json, read once."""
        if self._config is None:
            self._config = configuration.read_config(self.given.config_dir)
        return self._config

    @property
    def context(self) -> str:
        """The name of the docker context in use."""
        return configuration.context_name(self.given, self.config)

    @property
    def address(self) -> Address:
        """The daemon's address."""
        if self._address is None:
            self._address = configuration.find_address(self.given, self.config)
        return self._address

    @property
    def engine(self) -> Engine:
        """The daemon, its version negotiated."""
        if self._engine is None:
            engine = self.unconnected()
            if not engine.version:
                self._meet(engine)
            self._engine = engine
        return self._engine

    def unconnected(self) -> Engine:
        """The daemon before a first word was spoken, for commands that show something without one."""
        extra = [
            (name, value) for name, value in object_of(self.config, "HttpHeaders").items() if isinstance(value, str)
        ]
        return Engine(self.address, self.given.environ.get("DOCKER_API_VERSION", ""), extra)

    def _meet(self, engine: Engine) -> None:
        own = os.geteuid() != 0 and self.address.path.endswith(_OWN_SOCKET)
        try:
            # While containers live a dead daemon's socket takes callers in; a user's own is started, and not waited for.
            engine.ping(_OWN_PATIENCE if own else PING_TIMEOUT)
        except DaemonUnreachable as error:
            if self.address.scheme != "unix":
                raise
            if self.address.path == DEFAULT_SOCKET:
                from sampan.cli.daemon_start import start_daemon

                self.warn(start_daemon(self.given.environ, error))
            else:
                self._start_own(error)
            engine.ping()

    def _start_own(self, error: DaemonUnreachable) -> None:
        """Start this user's own daemon where it is its socket that nobody answers at, and the user has set it up."""
        if os.geteuid() == 0:
            raise error
        from sampan.rootless.places import of_user

        places = of_user(self.given.environ, os.geteuid())
        if self.address.path != places.socket:
            raise error
        from sampan.rootless import lifecycle

        choices = lifecycle.read_choices(places)
        if choices is None:
            raise DaemonUnreachable(f"{error}\nStart it with: sampan rootless start") from error
        self.warn(lifecycle.start(places, choices, self.given.environ))

    def detach_keys(self, given: str) -> str:
        """The sequence that leaves an attached container: the option, else config.json's, else "" for the daemon's own."""
        return given or text_of(self.config, "detachKeys")

    def say(self, line: str) -> None:
        """One line to stdout."""
        sys.stdout.write(line + "\n")

    def warn(self, line: str) -> None:
        """One line to stderr, after what stdout still holds."""
        sys.stdout.flush()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def colours(self, stream: int = 1) -> bool:
        """Whether descriptor `stream` is a terminal that wants colours (https://no-color.org)."""
        environ = self.given.environ
        return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb" and os.isatty(stream)
