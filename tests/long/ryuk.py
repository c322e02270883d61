"""A stand-in for testcontainers' reaper, run as a container's program with Docker's socket bound into it.

It speaks Ryuk's protocol on TCP 8080: each line is a filter (`label=a=b&label=c=d`), answered with ACK. When no client has been
connected for RYUK_RECONNECTION_TIMEOUT, everything that carries the labels is removed, and it ends. Nothing but the standard
library's `socket`, `select`, `json` and `time`: the image is made of this machine's own files.
"""

import json
import os
import select
import socket
import time

SOCKET = "/var/run/docker.sock"
FIRST_SECONDS = 60.0


def ask(method: str, path: str) -> bytes:
    """One request to the engine; the body of its answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(SOCKET)
        sock.sendall(f"{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer.partition(b"\r\n\r\n")[2]


def quoted(text: str) -> str:
    """`text` for a query."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def prune(labels: tuple[str, ...]) -> None:
    """Remove containers, networks, volumes and images with all of the labels."""
    filters = quoted(json.dumps({"label": list(labels)}))
    for container in json.loads(ask("GET", f"/containers/json?all=1&filters={filters}")):
        ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    for network in json.loads(ask("GET", f"/networks?filters={filters}")):
        ask("DELETE", f"/networks/{network['Id']}")
    for volume in json.loads(ask("GET", f"/volumes?filters={filters}"))["Volumes"] or ():
        ask("DELETE", f"/volumes/{volume['Name']}?force=1")
    for image in json.loads(ask("GET", f"/images/json?filters={filters}")):
        ask("DELETE", f"/images/{image['Id']}?force=1")


def seconds(text: str) -> float:
    """A duration as Go writes simple ones: `10s`, `0.1s`, `500ms`, `1m`."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def main() -> None:
    """Serve until there is nobody left to serve."""
    patience = seconds(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s"))
    listening = socket.create_server(("", 8080))
    print("ryuk: Started!", flush=True)
    clients: dict[socket.socket, bytes] = {}
    wanted: set[tuple[str, ...]] = set()
    until = time.monotonic() + FIRST_SECONDS
    while clients or time.monotonic() < until:
        ready, _, _ = select.select(
            [listening, *clients], [], [], None if clients else max(0, until - time.monotonic())
        )
        for sock in ready:
            if sock is listening:
                clients[listening.accept()[0]] = b""
                continue
            try:
                data = sock.recv(65536)
            except ConnectionResetError:  # it left with our answer unread
                data = b""
            *lines, rest = (clients.pop(sock) + data).split(b"\n")
            for line in lines:
                fields = (field.partition("=") for field in line.decode().strip().split("&"))
                wanted.add(tuple(value for key, _, value in fields if key == "label"))
                sock.sendall(b"ACK\n")
            if data:
                clients[sock] = rest
            else:
                sock.close()
                until = time.monotonic() + patience
    for labels in wanted:
        prune(labels)


if __name__ == "__main__":
    main()
