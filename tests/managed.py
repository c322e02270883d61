"""Managed plugins for tests: a root with one Python program that answers as a plugin does, on the machine's own Python."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

PROGRAM = r"""
import http.server, json, os, socketserver, sys
print("started", os.environ.get("DEBUG"), sys.argv[1:], flush=True)
answers = json.loads(os.environ.get("ANSWERS", "{}"))
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"
    def log_message(self, *args):
        pass
    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        asked = self.rfile.read(length)
        print(self.path, asked.decode(), flush=True)
        answer = answers.get(self.path, {"Err": ""})
        if self.path == "/Plugin.Activate":
            answer = {"Implements": ["VolumeDriver"]}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
import signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
socketserver.ThreadingUnixStreamServer("/run/docker/plugins/plugin.sock", Handler).serve_forever()
"""
_OF_THE_MACHINE = ("usr", "bin", "lib", "lib64")


def config(**more: Any) -> dict[str, Any]:
    """A config.json; `more` are members of it."""
    return {
        "description": "a plugin for tests",
        "documentation": "none",
        "entrypoint": ["/usr/bin/env", "python3", "-S", "-B", "/plugin.py"],
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "plugin.sock"},
        "network": {"type": "none"},
        "workdir": "/",
        "env": [
            {"name": "DEBUG", "description": "how much it says", "settable": ["value"], "value": "0"},
            {"name": "FIXED", "description": "not to be set", "settable": None, "value": "1"},
        ],
        "args": {"name": "args", "description": "words", "settable": ["value"], "value": []},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": None, "allowAllDevices": False},
        "mounts": [
            {"name": name, "source": f"/{name}", "destination": f"/{name}", "type": "bind", "options": ["rbind", "ro"]}
            for name in _OF_THE_MACHINE
        ],
        **more,
    }


def archive(document: dict[str, Any] | bytes, program: str | bytes = PROGRAM, name: str = "plugin.py") -> bytes:
    """What `docker plugin create` sends: `config.json` and `rootfs/`, with the program under that name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        _add(tar, "config.json", text)
        for directory in ("", *_OF_THE_MACHINE, "etc", "mnt", "proc", "sys", "dev", "run/docker/plugins"):
            entry = tarfile.TarInfo(f"rootfs/{directory}".rstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, f"rootfs/{name}", program.encode() if isinstance(program, str) else program)
    return buffer.getvalue()


def process(exec_root: Path, identifier: str) -> int:
    """The init of a plugin that runs."""
    state = json.loads((exec_root / "managed/states" / identifier[:12] / "state.json").read_bytes())
    return int(state["init"][0])


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    tar.addfile(entry, io.BytesIO(content))
