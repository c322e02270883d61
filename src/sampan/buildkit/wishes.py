"""What a solve asks for, in the words of a build: its outputs, its caches, what its steps may do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sampan.build.planning import NamedContext, Wish
from sampan.build.request import CacheOption, Output, RunSettings
from sampan.buildkit.attributes import Asked
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.sending import METHOD
from sampan.buildkit.sessions import Session
from sampan.dockerfile.arguments import Machines
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.images.platforms import builders_platform
from sampan.registry.protocol import Repository

_KINDS = {"moby": "image", "": "image"}
"""What Docker's own builder calls the exporter into its store."""
_NO_MATTER = frozenset(("unpack", "store", "load", "dangling-name-prefix", "name-canonical"))
"""How and where containerd keeps an image."""

Opening = Callable[[str, str], Awaitable[Repository]]
"""Opens a store of the client: its name in the session, and what messages call it."""


def refuse(request: control.SolveRequest) -> None:
    """Raise NotImplementedHere for what is not there yet, by name, with what to do."""
    policies = "source policies: name images by their digests, and check sources with ADD --checksum"
    missing: Sequence[tuple[bool, str]] = (
        (bool(request.SourcePolicy) or bool(request.SourcePolicySession), policies),
        (request.EnableSessionExporter, "exporters of a session"),
        (request.ProxyNetwork, "builds whose network is a proxy"),
    )
    for is_asked, what in missing:
        if is_asked:
            raise NotImplementedHere(f"not implemented by Sampan yet: {what}")


def wish_of(asked: Asked, named: Mapping[str, NamedContext]) -> Wish:
    """What is asked for beside the Dockerfile. Raises InvalidParameter, NotImplementedHere."""
    here = builders_platform()
    machines = Machines(here, asked.targets[0] if asked.targets else here)
    return Wish(machines, asked.target, asked.arguments, asked.labels, named)


def settings_of(asked: Asked) -> RunSettings:
    """What every RUN gets."""
    return RunSettings(
        cgroup_parent=asked.cgroup_parent,
        shm_size=asked.shm_size,
        ulimits=asked.ulimits,
        extra_hosts=asked.extra_hosts,
        network=asked.network,
    )


def attests_of(asked: Asked) -> Mapping[str, str]:
    """What is to be attested. Raises NotImplementedHere for a scanner of the client's choice.

    buildx wants provenance (`inline-only=true`) of each build that names none: as with Docker's own store, it is left out, for
    an image with a statement is an index, and layers would have to be packed for each build.
    """
    # Clients repeat the kind among the words.
    found = {
        kind: ",".join(word for word in words.split(",") if word and word != f"type={kind}")
        for kind, words in asked.attestations.items()
    }
    if "inline-only=true" in found.get("provenance", "").split(","):
        del found["provenance"]
    for word in found.get("sbom", "").split(","):
        if word.startswith("generator="):
            raise NotImplementedHere(
                f"not implemented by Sampan yet: --sbom {word[:200]}: packages are listed by the built-in scanner; use --sbom=true"
            )
    return found


def outputs_of(request: control.SolveRequest, session: Session) -> tuple[Output, ...]:
    """What is to become of the image, in the words of `--output`; a client that says nothing wants it in the cache alone."""
    found = []
    for kind, given in _exporters(request):
        attributes = {key: value for key, value in given.items() if key not in _NO_MATTER}
        if kind == "docker" and session.offers(METHOD):
            # The client keeps to itself where the archive goes; that it takes one says that it wants one.
            attributes["dest"] = "-"
        found.append(Output(_KINDS.get(kind, kind), attributes))
    return tuple(found) or (Output("cacheonly"),)


def _exporters(request: control.SolveRequest) -> list[tuple[str, Mapping[str, str]]]:
    if request.Exporters:
        return [(one.Type, one.Attrs) for one in request.Exporters]
    return [(request.ExporterDeprecated, request.ExporterAttrsDeprecated)] if request.ExporterDeprecated else []


class Caches:
    """The caches of a build, and the client's stores that they lie in."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self.stores: dict[str, Repository] = {}

    async def imports(
        self, asked: Asked, request: control.SolveRequest, more: Sequence[CacheOption]
    ) -> tuple[CacheOption, ...]:
        """Where to look for what was built before. Clients say some of them twice. Raises InvalidParameter."""
        given = [CacheOption(one.Type, dict(one.Attrs)) for one in request.Cache.Imports]
        given += [CacheOption("registry", {"ref": ref}) for ref in request.Cache.ImportRefsDeprecated]
        return await self._options("src", [*given, *asked.cache_from, *more])

    async def exports(self, request: control.SolveRequest) -> tuple[CacheOption, ...]:
        """Where to send what is built. Raises InvalidParameter."""
        given = [CacheOption(one.Type, dict(one.Attrs)) for one in request.Cache.Exports]
        if request.Cache.ExportRefDeprecated:
            attributes = {**request.Cache.ExportAttrsDeprecated, "ref": request.Cache.ExportRefDeprecated}
            given.append(CacheOption("registry", attributes))
        return await self._options("dest", given)

    async def _options(self, place: str, given: Sequence[CacheOption]) -> tuple[CacheOption, ...]:
        found: list[CacheOption] = []
        for option in given:
            if option.type == "client":
                raise InvalidParameter("unknown cache type: 'client'")
            one = await self._reached(place, option) if option.type == "local" else option
            if one not in found:
                found.append(one)
        return tuple(found)

    async def _reached(self, place: str, option: CacheOption) -> CacheOption:
        """A cache in a directory of the client, which serves it; the client alone reads and writes its index."""
        left = dict(option.attributes)
        path = left.pop(place, "")
        left.pop("tag", "")
        if not path:
            raise InvalidParameter(f"local cache {'importer' if place == 'src' else 'exporter'} requires {place}")
        if place == "src" and not left.get("digest"):
            raise InvalidParameter("local cache importer requires explicit digest")
        store = f"local:{path}"
        if store not in self.stores:
            self.stores[store] = await self._opening(store, path)
        return CacheOption("client", {**left, "store": store})
