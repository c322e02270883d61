"""Options of the command as parameters of `POST /build`. What Docker's API has no parameter for is JSON in one of Sampan's own."""

from __future__ import annotations

from sampan.cli.build.attributes import Typed, agent, attestation, cache, output, parts, secret
from sampan.cli.failures import Exit
from sampan.client import documents
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

HEADER_LIMIT = 32 * 1024
"""Bytes of secrets in a header; more of them go into the body."""
_TEXTS = (
    ("cgroup-parent", "cgroupparent"),
    ("cpuset-cpus", "cpusetcpus"),
    ("cpuset-mems", "cpusetmems"),
    ("network", "networkmode"),
    ("target", "target"),
)
_NUMBERS = (
    ("cpu-period", "cpuperiod"),
    ("cpu-quota", "cpuquota"),
    ("cpu-shares", "cpushares"),
    ("memory", "memory"),
    ("memory-swap", "memswap"),
    ("shm-size", "shmsize"),
)
_TRUTHS = (("no-cache", "nocache"), ("pull", "pull"), ("force-rm", "forcerm"), ("squash", "squash"))


class Wanted:
    """What a build is asked for beside its files."""

    def __init__(self, session: Session, parsed: Parsed) -> None:
        environ = session.given.environ
        self.outputs = [output(text) for text in parsed.many("output")]
        self.secrets = dict(secret(text, environ) for text in parsed.many("secret"))
        self.agents = dict(agent(text, environ) for text in parsed.many("ssh"))
        self.contexts = dict(_named_context(text) for text in parsed.many("build-context"))
        self.push = parsed.flag("push") or any(one.attributes.pop("push", "") == "true" for one in self.outputs)
        if self.push and not parsed.many("tag"):
            raise Exit(1, "ERROR: tag is needed when pushing to registry")
        if len([one for one in self.outputs if one.dest == "-"]) > 1:
            raise Exit(1, "ERROR: only one output can go to standard output")
        local = any("src" in one.attributes or "dest" in one.attributes for one in caches(parsed))
        if session.address.scheme != "unix" and (local or self.agents):
            raise Exit(1, "ERROR: local caches and ssh agents need a daemon on this machine")

    @property
    def directories(self) -> dict[str, str]:
        """The named contexts that are directories of this machine."""
        return {name: place for name, place in self.contexts.items() if "://" not in place and not _is_remote(place)}

    @property
    def secrets_apart(self) -> bool:
        """Whether the secrets are too large for a header."""
        return bool(self.secrets) and len(self._secret_header()) > HEADER_LIMIT

    @property
    def layout(self) -> str:
        """How the body is laid out: "" for the context alone, "named" for directories of several things."""
        return "named" if self.directories or self.secrets_apart else ""

    def headers(self) -> Iterator[tuple[str, str]]:
        """Values that stand in no address."""
        if self.secrets and not self.secrets_apart:
            yield "X-Build-Secrets", self._secret_header()

    def _secret_header(self) -> str:
        values: Document = {name: _base64(value) for name, value in self.secrets.items()}
        return _base64(documents.write(values).encode("utf-8", "surrogateescape"), for_url=True)


def is_sampan(session: Session) -> bool:
    """Whether the daemon understands more than Docker's parameters."""
    engine = session.engine
    if session.given.environ.get("DOCKER_API_VERSION"):
        engine.ping()  # the version was given, so that nobody has asked yet who is there
    return engine.is_sampan


def caches(parsed: Parsed) -> list[Typed]:
    """Everything that --cache-from and --cache-to name."""
    return [one for option in ("cache-from", "cache-to") for text in parsed.many(option) for one in cache(option, text)]


def _named_context(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if not equals or not name or not place:
        raise Exit(1, f"ERROR: invalid context value: {text}, expected key=value")
    import os

    if "://" not in place and not _is_remote(place):
        if not os.path.isdir(place):
            raise Exit(1, f"ERROR: failed to get build context {name}: stat {place}: no such file or directory")
        if "/" in name or name in (".", ".."):
            raise Exit(1, f"ERROR: the name {name!r} cannot be that of a local build context")
    return name, place


def _is_remote(place: str) -> bool:
    return place.startswith(("git@", "target:", "docker-image:", "oci-layout:"))


def target(session: Session, parsed: Parsed, wanted: Wanted, file: str, remote: str) -> str:
    """The path and query of the request."""
    pairs = [
        *(("t", name) for name in parsed.many("tag")),
        *(("extrahosts", entry) for entry in parsed.many("add-host")),
        *((name, parsed.text(option)) for option, name in _TEXTS if parsed.text(option)),
        *((name, str(parsed.number(option))) for option, name in _NUMBERS if parsed.number(option)),
        *((name, "1") for option, name in _TRUTHS if parsed.flag(option)),
        ("rm", "1" if parsed.flag("rm") else "0"),
        ("version", "1"),
        *((name, documents.write(value)) for name, value in _documents(session, parsed, wanted) if value),
    ]
    if file:
        pairs.append(("dockerfile", file))
    if remote:
        pairs.append(("remote", remote))
    if wanted.layout:
        pairs.append(("layout", wanted.layout))
    if parsed.many("platform"):
        pairs.append(("platform", ",".join(parsed.many("platform"))))
    if is_sampan(session):
        pairs.append(("progress", "json"))
    elif parsed.flag("quiet"):
        pairs.append(("q", "1"))
    return "/build?" + "&".join(f"{name}={quoted(value)}" for name, value in pairs)


def _documents(session: Session, parsed: Parsed, wanted: Wanted) -> Iterator[tuple[str, Json]]:
    yield "buildargs", _arguments(session, parsed)
    yield "labels", _pairs(parsed.many("label"))
    yield "ulimits", list(parsed.documents("ulimit"))
    from_ = [one for text in parsed.many("cache-from") for one in cache("cache-from", text)]
    if all(one.type == "registry" and one.attributes.keys() == {"ref"} for one in from_):
        yield "cachefrom", [one.attributes["ref"] for one in from_]
    else:
        yield "cachefrom", _typed(from_)
    yield "cacheto", _typed([one for text in parsed.many("cache-to") for one in cache("cache-to", text)])
    yield "nocachefilter", [*parsed.many("no-cache-filter")]
    yield "outputs", _outputs(parsed, wanted)
    yield "secrets", [{"ID": name} for name in wanted.secrets]
    yield "ssh", [{"ID": name, "Socket": path} for name, path in wanted.agents.items()]
    directories = wanted.directories
    yield "contexts", {name: f"input:{name}" if name in directories else at for name, at in wanted.contexts.items()}
    yield "attests", _attests(parsed)
    yield "annotations", _pairs(parsed.many("annotation"))
    yield "entitlements", [*parsed.many("allow")]


def _outputs(parsed: Parsed, wanted: Wanted) -> Json:
    found = [*wanted.outputs]
    if found and (parsed.flag("load") or parsed.flag("push")):
        found.append(Typed("image", {}))
    # That there is a destination is said; where it is, is this side's business.
    return [_with_dest(one) for one in found]


def _with_dest(one: Typed) -> Json:
    attributes: Document = {**one.attributes, **({"dest": "-"} if one.dest else {})}
    return {"Type": one.type, "Attrs": attributes}


def _typed(found: Iterable[Typed]) -> Json:
    return [{"Type": one.type, "Attrs": dict(one.attributes)} for one in found]


def _attests(parsed: Parsed) -> Json:
    found: Document = {}
    for text in parsed.many("attest"):
        given = parts("attest", text)
        kind = given.pop("type", "")
        if kind not in ("sbom", "provenance"):
            raise Exit(1, f"ERROR: unsupported attestation type {kind!r}: sbom or provenance")
        found[kind] = ",".join(f"{name}={value}" for name, value in given.items())
    for kind in ("sbom", "provenance"):
        if parsed.given(kind):
            found[kind] = attestation(kind, parsed.text(kind))
    return found


def _arguments(session: Session, parsed: Parsed) -> Json:
    """Values of ARGs: a bare NAME takes the environment's, null where it has none. Proxies are config.json's."""
    environ = session.given.environ
    given = parsed.many("build-arg")
    found: Document = {}
    for text in given:
        name, equals, value = text.partition("=")
        found[name] = value if equals else environ.get(name)
    if session.config.get("proxies"):
        from sampan.cli.create.environment import proxy_variables

        found.update(dict(text.split("=", 1) for text in proxy_variables(session.config, session.address.text, given)))
    if "SOURCE_DATE_EPOCH" in environ:
        found.setdefault("SOURCE_DATE_EPOCH", environ["SOURCE_DATE_EPOCH"])
    return found


def _pairs(given: Iterable[str]) -> Json:
    found: Document = {}
    for text in given:
        name, _, value = text.partition("=")
        found[name] = value
    return found


def _base64(data: bytes, for_url: bool = False) -> str:
    from binascii import b2a_base64

    text = b2a_base64(data, newline=False)
    return str(text.translate(bytes.maketrans(b"+/", b"-_")) if for_url else text, "ascii")
