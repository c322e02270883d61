"""What is asked about room on the disk: `GET /system/df` over many files, and how long a removal keeps its client."""

import json
import subprocess
import sys
from urllib.parse import quote

from bench.samples import Samples, timed
from bench.wire import Wire
from tests.daemons import Daemon

_MAKE = """
import os, sys
place, files = sys.argv[1], int(sys.argv[2])
for directory in range(files // 500):
    os.makedirs(f"{place}/{directory}")
    for name in range(500):
        with open(f"{place}/{directory}/{name}", "w") as file:
            file.write("x" * (name % 97))
"""


def disk_usage(engine: Daemon, files: int, repetitions: int) -> Samples:
    """`GET /system/df` with that many files, half in a volume and half in a running container's layer; the first is not counted."""
    wire = Wire(str(engine.socket))
    host = {"NetworkMode": "none", "Binds": ["bench-files:/v"]}
    body: dict[str, object] = {"Image": "busybox", "Cmd": ["sleep", "100000"], "HostConfig": host}
    container = str(json.loads(wire.good("POST", "/containers/create", body))["Id"])
    try:
        wire.good("POST", f"/containers/{container}/start")
        volume = json.loads(wire.good("GET", "/volumes/bench-files"))["Mountpoint"]
        upper = json.loads(wire.good("GET", f"/containers/{container}/json"))["GraphDriver"]["Data"]["UpperDir"]
        for place in (volume, upper):
            subprocess.run([sys.executable, "-c", _MAKE, place, str(files // 2)], check=True)
        wire.good("GET", "/system/df")
        return timed(repetitions, lambda: wire.good("GET", "/system/df"), 0.1)
    finally:
        wire.call("DELETE", f"/containers/{container}?force=1")
        wire.call("DELETE", f"/volumes/{quote('bench-files')}")
        wire.close()


def removals(engine: Daemon, repetitions: int) -> Samples:
    """`DELETE /containers/ID` of a stopped container that has run."""
    wire = Wire(str(engine.socket))
    body: dict[str, object] = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    made: list[str] = []
    for _ in range(repetitions):
        made.append(str(json.loads(wire.good("POST", "/containers/create", body))["Id"]))
        wire.good("POST", f"/containers/{made[-1]}/start")
        wire.good("POST", f"/containers/{made[-1]}/wait")
    taken = timed(repetitions, lambda: wire.good("DELETE", f"/containers/{made.pop()}"), 0.02)
    wire.close()
    return taken
