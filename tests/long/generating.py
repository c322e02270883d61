"""Requests made from the published schema: mostly of the right shape, with values from pools that bite, now and then anything.

A daemon under test is a real one, run by root: what could make it touch the host outside its own directories (sources of
mounts, devices, parents of control groups, programs) comes from pools and from nowhere else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

NUMBERS = st.sampled_from((0, 1, -1, 5, 64, 100, 1000, 65535, 65536, 1 << 26, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63)))
WORDS = st.sampled_from(
    (
        "",
        "a",
        "busybox",
        "box",
        "default",
        "none",
        "host",
        "80/tcp",
        "0",
        "-1",
        "true",
        "a=b",
        "/x",
        "../..",
        "a\0b",
        "ü" * 40,
    )
)
JUNK: Strategy = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
PORTS = st.sampled_from(("80/tcp", "53/udp", "1-3/tcp", "99999/tcp", "/", "x", "80/sctp", ""))


@dataclass(frozen=True)
class Pools:
    """What exists in the daemon, and a directory of its own."""

    directory: str
    containers: tuple[str, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...]
    execs: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One request. `body` None sends none; bytes go as they are."""

    method: str
    path: str
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


class Generator:
    """Strategies for the operations of one schema against one daemon."""

    def __init__(self, document: Json, pools: Pools) -> None:
        self._definitions: Json = document["definitions"]
        self._pools = pools
        inside = f"{pools.directory}/inside"
        sources = st.sampled_from((inside, f"{inside}/made", f"{inside}/../inside", "vol", "other", "", "bad%name"))
        targets = st.sampled_from(("/x", "/x/y", "/", "", "rel", "/proc", "/etc/passwd", "/dev/shm"))
        modes = st.sampled_from(("", ":ro", ":rw,z", ":nosuch", ":rshared"))
        binds = st.builds(lambda a, b, c: f"{a}:{b}{c}", sources, targets, modes)
        self._members: dict[str, Strategy] = {
            "Binds": st.lists(binds, max_size=3),
            "Source": sources,
            "Target": targets,
            "PathOnHost": st.sampled_from(("/dev/null", "/dev/zero", "/dev/nosuch", "", "/etc/passwd")),
            "Path": st.just("/dev/null"),
            "CgroupParent": st.just(""),
            "Image": st.sampled_from((*pools.images, "nosuch", "", "Bad:x:y", "sha256:00")),
            "Cmd": st.sampled_from((None, ["true"], ["echo", "x"], [], ["nosuch"], [""], "true", ["a\0b"])),
            "Entrypoint": st.sampled_from((None, [], [""], ["sh", "-c", "exit 3"])),
            "Runtime": st.sampled_from(("", "runc", "nosuch")),
            "ContainerIDFile": st.just(""),
            "RestartPolicy": st.sampled_from(
                ({}, {"Name": "no"}, {"Name": "x"}, {"Name": "on-failure", "MaximumRetryCount": 1})
            ),
            "Sysctls": st.sampled_from(
                (None, {}, {"net.ipv4.ip_forward": "0"}, {"nosuch": "1"}, {"kernel.hostname": "x"})
            ),
            "PortBindings": st.dictionaries(PORTS, JUNK | st.just([{"HostPort": "0"}]), max_size=2),
            "ExposedPorts": st.dictionaries(PORTS, st.just({}), max_size=2),
            "NetworkMode": st.sampled_from(("", "default", "bridge", "none", "container:box", "container:", "nosuch")),
            "PidMode": st.sampled_from(("", "container:box", "container:nosuch", "x")),
            "IpcMode": st.sampled_from(("", "none", "private", "shareable", "container:box", "x")),
            "Privileged": st.just(False),
            "Devices": st.lists(st.fixed_dictionaries({"PathOnHost": st.sampled_from(("/dev/null", ""))}), max_size=2),
            "CapAdd": st.sampled_from((None, ["ALL"], ["NET_RAW"], ["nosuch"], ["ALL", "x"])),
            "Driver": st.sampled_from(("", "local", "nosuch", "bridge")),
            "DriverOpts": st.sampled_from((None, {}, {"o": "bind"}, {"x": "y"})),
        }

    def calls(self, method: str, path: str, operation: Json) -> st.SearchStrategy[Call]:
        """Requests of one operation."""
        parameters = operation.get("parameters", ())
        filled = self._path(path)
        query = st.fixed_dictionaries(
            {}, optional={p["name"]: self._query(p) for p in parameters if p["in"] == "query"}
        )
        bodies = [self._body(p) for p in parameters if p["in"] == "body"]
        body = bodies[0] if bodies else st.none()
        version = st.sampled_from(("", "/v1.51", "/v1.41", "/v1.24"))
        return st.builds(
            lambda v, p, q, b: Call(method, v + p + ("?" + urlencode(q) if q else ""), b), version, filled, query, body
        )

    def _path(self, path: str) -> Strategy:
        before, opened, rest = path.partition("{")
        if not opened:
            return st.just(path)
        behind = rest.partition("}")[2]
        names: dict[str, tuple[str, ...]] = {
            "/containers/": self._pools.containers,
            "/images/": self._pools.images,
            "/volumes/": self._pools.volumes,
            "/exec/": self._pools.execs,
            "/networks/": ("bridge", "none", "host"),
        }
        known = names.get(before, ("x",))
        odd = st.sampled_from(("nosuch", "a/b", "..", "%", " ", "\0", "b" * 300)) | st.text(min_size=1, max_size=10)
        return (st.sampled_from(known) | st.sampled_from(known) | odd).map(
            lambda name: before + quote(name, safe="/", errors="surrogatepass") + behind
        )

    def _query(self, parameter: Json) -> Strategy:
        if parameter["name"] == "filters":
            keys = st.sampled_from(
                ("label", "status", "name", "id", "until", "reference", "dangling", "x", "since", "type")
            )
            return st.dictionaries(keys, st.lists(WORDS, max_size=2) | JUNK, max_size=2).map(json.dumps) | WORDS
        if parameter["name"] == "fromSrc":
            return st.just("-")
        if parameter["name"] in ("timeout", "t"):
            return st.sampled_from(("0", "1", "x", "-1", ""))
        plain = {"integer": NUMBERS.map(str), "boolean": st.sampled_from(("true", "false", "1", "0", "x", ""))}
        right = plain.get(str(parameter.get("type")), WORDS)
        return right | right | WORDS

    def _body(self, parameter: Json) -> Strategy:
        schema = parameter["schema"]
        if schema.get("format") == "binary" or schema.get("type") == "string":
            return st.binary(max_size=600)
        made = self._made(schema, 0)
        broken = st.binary(max_size=40)
        return made | made | made | JUNK | broken

    def _made(self, schema: Json, depth: int) -> Strategy:
        if "$ref" in schema:
            return self._made(self._definitions[schema["$ref"].rpartition("/")[2]], depth)
        if "allOf" in schema:
            parts = [self._made(part, depth) for part in schema["allOf"]]
            return st.tuples(*parts).map(_merged)
        kind = schema.get("type", "object")
        if "properties" in schema:
            return self._object(schema, depth)
        simple: dict[str, Callable[[], Strategy]] = {
            "string": lambda: st.sampled_from(schema["enum"]) | WORDS if schema.get("enum") else WORDS,
            "integer": lambda: NUMBERS,
            "boolean": st.booleans,
            "array": lambda: st.lists(self._made(schema["items"], depth + 1), max_size=2),
        }
        if kind in simple:
            return simple[kind]()
        more = schema.get("additionalProperties")
        inner = self._made(more, depth + 1) if isinstance(more, dict) else st.just({})
        return st.dictionaries(WORDS, inner, max_size=2)

    def _object(self, schema: Json, depth: int) -> Strategy:
        if depth > 5:
            return st.just({})
        members = {
            name: self._members[name] if name in self._members else self._rarely_junk(sub, depth)
            for name, sub in schema["properties"].items()
        }
        always = {name: members.pop(name) for name in ("Image", "Cmd") if depth == 0 and name in members}
        names = sorted(members)
        chosen = st.lists(st.sampled_from(names), max_size=4, unique=True) if names else st.just([])
        some = chosen.flatmap(lambda picked: st.fixed_dictionaries({name: members[name] for name in picked}))
        return st.tuples(st.fixed_dictionaries(always), some).map(_merged)

    def _rarely_junk(self, schema: Json, depth: int) -> Strategy:
        right = self._made(schema, depth + 1)
        return right | right | right | JUNK


def _merged(parts: tuple[object, ...]) -> Json:
    return {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
