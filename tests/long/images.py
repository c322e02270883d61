"""Stand-ins for images of public registries, made of this machine's busybox and python3: nothing is downloaded."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Daemon

HELLO = "\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n"
RYUK = Path(__file__).parent / "ryuk.py"


def load(engine: Daemon, tag: str, command: list[str], *layers: bytes) -> None:
    """An image of busybox and these layers, whose program is `command`."""
    loaded = engine.docker(
        "load", stdin=docker_archive(tag, [busybox_rootfs(), *layers], {"Cmd": command, "Env": [PATH]})
    )
    assert loaded.code == 0, loaded


@cache
def alpine() -> bytes:
    """What test suites use of alpine that busybox lacks: users, a directory, the name of a shell."""
    layer = Layer()
    layer.directory("var/opt")
    layer.file("bin/bash", b'#!/bin/sh\nexec /bin/sh "$@"\n', 0o755)
    users = ("root:x:0:0:root:/root", "nobody:x:65534:65534:nobody:/", "postgres:x:70:70::/var/lib/postgresql")
    layer.file("etc/passwd", "".join(f"{user}:/bin/sh\n" for user in users).encode())
    layer.file("etc/group", b"root:x:0:\npostgres:x:70:\nnobody:x:65534:\n")
    return layer.tar()


@cache
def nginx() -> bytes:
    """A page for busybox's httpd."""
    layer = Layer()
    layer.directory("www")
    layer.file("www/index.html", b"<html><h1>Welcome to nginx!</h1></html>")
    return layer.tar()


@cache
def ryuk() -> bytes:
    """The machine's python3 with what `ryuk.py` needs of it, and that."""
    needed = "import sys, json, select, socket, time, os, encodings.idna\n"
    listing = needed + (
        "files = {m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)}\n"
        "files |= {l.split()[-1] for l in open('/proc/self/maps') if '/' in l and '.so' in l}\n"
        "print('\\n'.join(sorted(files)), sys.executable, sep='\\n')"
    )
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    done = subprocess.run([python, "-I", "-S", "-c", listing], capture_output=True, text=True, check=True)
    layer = Layer()
    for path in map(Path, done.stdout.split()):
        # A library is asked for by a name that is a link to its file.
        links = path.parent.glob(path.name.partition(".so")[0] + ".so*") if ".so" in path.name else ()
        for name in {path, *(link for link in links if link.resolve() == path.resolve())}:
            layer.file(str(name)[1:], path.read_bytes(), 0o755)
    for word in subprocess.run(["ldd", python], capture_output=True, text=True, check=True).stdout.split():
        if word.startswith("/") and "ld-linux" in word:
            layer.file(word[1:], Path(word).read_bytes(), 0o755)
    layer.symlink("usr/bin/python3", str(python))
    layer.file("ryuk.py", RYUK.read_bytes())
    return layer.tar()
