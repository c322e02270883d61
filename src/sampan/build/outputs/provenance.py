"""How a result was made, as SLSA provenance v0.2 or v1 with the members that BuildKit gives it. Pure.

https://slsa.dev/spec/v0.2/provenance, https://slsa.dev/spec/v1.1/provenance,
https://docs.docker.com/build/metadata/attestations/slsa-definitions. `mode=min` tells no build arguments and no steps.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from sampan.build.operations import GitSource, Graph, ImageSource, Place, Target, UrlSource
from sampan.build.outputs.attestations import PROVENANCE_02, PROVENANCE_1, Statement
from sampan.build.tree.git_program import redacted
from sampan.errors import InvalidParameter
from sampan.images.references import parse_reference

_TYPE_02 = "https://mobyproject.org/buildkit@v1"
_TYPE_1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_LOCAL = "context"


class Wish(msgspec.Struct, frozen=True):
    """`--provenance`, read. `builder`: the URL under which somebody answers for the builder."""

    every: bool = False
    version: str = "v0.2"
    builder: str = ""
    reproducible: bool = False


class Material(msgspec.Struct, frozen=True):
    """Something from outside that went in. `digest`: by algorithm, without its name in front."""

    uri: str
    digest: dict[str, str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One build. Times in nanoseconds since the epoch. `arguments`: what was given, as BuildKit names it (`build-arg:X`).

    `local`: a context came from the client, of which nobody else knows the files.
    """

    identity: str
    file: str
    arguments: Mapping[str, str] = {}
    platform: str
    machine: str
    materials: Sequence[Material] = ()
    steps: Sequence[Mapping[str, Any]] = ()
    local: bool = True
    started: int = 0
    finished: int = 0


def parse(text: str) -> Wish | None:
    """What stands behind `--provenance`; None where it is switched off. Raises InvalidParameter."""
    left = dict(part.partition("=")[::2] for part in text.split(",") if part)
    if left.pop("disabled", "false") == "true":
        return None
    mode, version = left.pop("mode", "min"), left.pop("version", "v0.2")
    builder, reproducible = left.pop("builder-id", ""), left.pop("reproducible", "false")
    left.pop("inline-only", "")
    if mode not in ("min", "max"):
        raise InvalidParameter(f"invalid provenance mode: {mode}: it is min or max")
    if version not in ("v0.2", "v1"):
        raise InvalidParameter(f"invalid provenance version: {version}: it is v0.2 or v1")
    if reproducible not in ("true", "false"):
        raise InvalidParameter(f"invalid provenance reproducible: {reproducible}")
    if left:
        raise InvalidParameter(f"provenance: unknown attribute {', '.join(sorted(left))}")
    return Wish(mode == "max", version, builder, reproducible == "true")


def provenance(facts: Facts, wish: Wish) -> Statement:
    """The statement of the wished version."""
    return (
        Statement(PROVENANCE_1, _v1(facts, wish))
        if wish.version == "v1"
        else Statement(PROVENANCE_02, _v02(facts, wish))
    )


def _request(facts: Facts, wish: Wish) -> dict[str, Any]:
    found: dict[str, Any] = {"frontend": "dockerfile.v0"}
    arguments = {name: value for name, value in facts.arguments.items() if wish.every or ":" not in name}
    if arguments:
        found["args"] = dict(sorted(arguments.items()))
    if facts.local:
        found["locals"] = [{"name": _LOCAL}]
    return found


def _v02(facts: Facts, wish: Wish) -> dict[str, Any]:
    found: dict[str, Any] = {
        "builder": {"id": wish.builder},
        "buildType": _TYPE_02,
        "materials": [msgspec.to_builtins(one) for one in facts.materials],
        "invocation": {
            "configSource": {"entryPoint": facts.file},
            "parameters": _request(facts, wish),
            "environment": {"platform": facts.machine},
        },
        "metadata": {
            "buildInvocationID": facts.identity,
            "buildStartedOn": _moment(facts.started),
            "buildFinishedOn": _moment(facts.finished),
            "completeness": {"parameters": wish.every, "environment": True, "materials": not facts.local},
            "reproducible": wish.reproducible,
        },
    }
    if wish.every:
        found["buildConfig"] = {"llbDefinition": list(facts.steps)}
    return found


def _v1(facts: Facts, wish: Wish) -> dict[str, Any]:
    internal: dict[str, Any] = {"builderPlatform": facts.machine}
    if wish.every:
        internal["buildConfig"] = {"llbDefinition": list(facts.steps)}
    return {
        "buildDefinition": {
            "buildType": _TYPE_1,
            "externalParameters": {"configSource": {"path": facts.file}, "request": _request(facts, wish)},
            "internalParameters": internal,
            "resolvedDependencies": [msgspec.to_builtins(one) for one in facts.materials],
        },
        "runDetails": {
            "builder": {"id": wish.builder},
            "metadata": {
                "invocationID": facts.identity,
                "startedOn": _moment(facts.started),
                "finishedOn": _moment(facts.finished),
                "buildkit_completeness": {"request": wish.every, "resolvedDependencies": not facts.local},
                "buildkit_reproducible": wish.reproducible,
            },
        },
    }


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def materials(graph: Graph, target: Target, contents: Mapping[Place, str]) -> list[Material]:
    """What came from outside into one target, each once.

    An image's digest is that of its configuration: by it the image is known here.
    """
    found: dict[str, Material] = {}
    for place in graph.below(target.result):
        made = _material(graph.vertices[place].operation, contents.get(place, ""))
        if made is not None:
            found.setdefault(made.uri, made)
    return [found[uri] for uri in sorted(found)]


def _material(operation: object, content: str) -> Material | None:
    digest = content.rpartition(":")[2]
    match operation:
        case ImageSource():
            reference = parse_reference(operation.reference).with_default_tag()
            version = reference.digest or reference.tag or ""
            uri = f"pkg:docker/{reference.familiar_name}@{version}?platform={quote(operation.platform, safe='')}"
            return Material(uri, {"sha256": digest})
        case GitSource():
            mark = f"#{operation.reference}" if operation.reference else ""
            return Material(f"{redacted(operation.repository)}{mark}", {"sha1": digest})
        case UrlSource():
            return Material(redacted(operation.url), {"sha256": digest} if len(digest) == 64 else {})
        case _:
            return None


def steps(graph: Graph, target: Target) -> list[dict[str, Any]]:
    """What was done for one target, as a list of operations with their inputs; no secret is in it, build arguments are."""
    return [
        {
            "id": f"step{place}",
            "op": msgspec.to_builtins(graph.vertices[place].operation),
            "inputs": [f"step{below}:0" for below in graph.vertices[place].inputs],
        }
        for place in graph.below(target.result)
    ]
