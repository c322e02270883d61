"""As much of OpenStack's networking API as kuryr-libnetwork asks for: networks, subnets, pools, ports and tags, in memory.

Source: https://docs.openstack.org/api-ref/network/v2/.
"""

import ipaddress
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

COLLECTIONS = ("networks", "subnets", "subnetpools", "ports", "security-groups", "security-group-rules")
EXTENSIONS = ("subnet_allocation", "standard-attr-tag", "tag", "tag-ext")


class Neutron:
    """What there is, by collection and id."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in COLLECTIONS}
        self.lock = threading.Lock()

    def empty(self) -> bool:
        return not any(self.kept[name] for name in ("networks", "subnets", "ports"))

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(target)
        words = parts.path.removeprefix("/v2.0/").removesuffix(".json").split("/")
        with self.lock:
            if words[0] == "extensions":
                return (200, {"extension": {"alias": words[1]}}) if words[1] in EXTENSIONS else (404, {})
            if words[0] not in self.kept:
                return 404, {}
            return self._about(method, words, parse_qsl(parts.query), body)

    def _about(self, method: str, words: list[str], query: list[tuple[str, str]], body: Any) -> tuple[int, Any]:
        kept, plural, single = self.kept[words[0]], words[0].replace("-", "_"), words[0].replace("-", "_")[:-1]
        if len(words) == 1 and method == "GET":
            return 200, {plural: [one for one in kept.values() if _fits(one, query)]}
        if len(words) == 1:
            made = [self._made(words[0], one) for one in (body[plural] if plural in body else [body[single]])]
            return 201, {plural: made} if plural in body else {single: made[0]}
        one = kept.get(words[1])
        if one is None:
            return 404, {"NeutronError": {"type": "NotFound", "message": f"no {single} {words[1]}", "detail": ""}}
        if len(words) == 4:
            (one["tags"].append if method == "PUT" else one["tags"].remove)(words[3])
            return 201 if method == "PUT" else 204, None
        if method == "DELETE":
            del kept[words[1]]
            return 204, None
        if method == "PUT":
            one.update(body[single])
        return 200, {single: one}

    def _made(self, collection: str, asked: dict[str, Any]) -> dict[str, Any]:
        made = {"id": str(uuid.uuid4()), "tags": [], "shared": False, "tenant_id": "t", "name": "", **asked}
        if collection == "networks":
            made |= {"mtu": 1500, "status": "ACTIVE"}
        elif collection == "subnets":
            made = {"host_routes": [], "gateway_ip": str(ipaddress.ip_network(made["cidr"])[1]), **made}
        elif collection == "ports":
            mac = f"fa:16:3e:{made['id'][:2]}:{made['id'][2:4]}:{made['id'][4:6]}"
            made = {"mac_address": mac, "device_owner": "", "binding:host_id": "", "security_groups": [], **made}
            made |= {"status": "ACTIVE", "binding:vif_type": "bridge", "binding:vif_details": {}}
            made |= {"binding:vnic_type": "normal", "fixed_ips": [self._address(one) for one in made["fixed_ips"]]}
        self.kept[collection][made["id"]] = made
        return made

    def _address(self, asked: dict[str, str]) -> dict[str, str]:
        subnet = self.kept["subnets"][asked["subnet_id"]]
        taken = {one["ip_address"] for port in self.kept["ports"].values() for one in port["fixed_ips"]}
        free = (str(one) for one in ipaddress.ip_network(subnet["cidr"]).hosts())
        chosen = next(one for one in free if one not in taken and one != subnet["gateway_ip"])
        return {"ip_address": chosen, **asked}


def _fits(one: dict[str, Any], query: list[tuple[str, str]]) -> bool:
    for name, value in query:
        if name == "fixed_ips":
            key, _, wanted = value.partition("=")
            if all(address[key] != wanted for address in one["fixed_ips"]):
                return False
        elif name == "tags":
            if not set(value.split(",")) <= set(one["tags"]):
                return False
        elif name != "fields" and value and str(one.get(name)) != value:
            return False
    return True


@contextmanager
def running_neutron() -> Iterator[tuple[Neutron, int]]:
    """It, and the port of the loopback at which it answers."""
    neutron = Neutron()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = neutron.answer(self.command, self.path, json.loads(raw) if raw else None)
            data = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield neutron, server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
