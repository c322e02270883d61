"""The process of one installed driver: `python -m sampan.drivers.host DESCRIPTOR NAME HOME`, started by the daemon.

DESCRIPTOR is the number of the socket that listens. Standard input is a pipe that only the daemon holds: when it closes, the
daemon is gone, and this process goes. What the driver prints is in the daemon's log.
"""

import os
import socket
import sys
import threading
from pathlib import Path

from sampan.drivers.loading import load
from sampan.drivers.serving import Server
from sampan.errors import NotFound


def main() -> None:
    """Serve until the daemon is gone. Ends with 1, and the reason on standard error, where the driver cannot be made."""
    descriptor, name, home = sys.argv[1:]
    threading.Thread(target=_leave_with_the_daemon, daemon=True).start()
    try:
        book = load(name, Path(home))
    except NotFound as error:
        sys.exit(str(error))
    with Server(socket.socket(fileno=int(descriptor)), book) as server:
        server.serve_forever()


def _leave_with_the_daemon() -> None:
    while os.read(0, 4096):
        pass
    # Threads that answer are the driver's: nobody waits for the answers any more.
    os._exit(0)


if __name__ == "__main__":
    main()
