"""One build, from its attributes to its image: what the client has is fetched, the solver builds, the outputs are named.

attributes ─▶ Asked ─▶ files of the session ─▶ BuildRequest ─▶ Builder.build ─▶ ExporterResponse
                         any fault ─▶ GRPCError, with the place in the Dockerfile
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from sampan.build.added import is_git
from sampan.build.entitlements import entitlements
from sampan.build.operations import Graph, Place, Run
from sampan.build.planning import NamedContext, Wish
from sampan.build.progress import Number, Reporter, WarningEvent
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, CacheOption, Output, RunSettings, clock_of
from sampan.buildkit import attributes, faults
from sampan.buildkit.attributes import Asked
from sampan.buildkit.connections import Detail
from sampan.buildkit.needs import Builder
from sampan.buildkit.pools import Pools
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.sending import METHOD, Sending
from sampan.buildkit.sessions import Session, Sessions
from sampan.buildkit.solves import Solve
from sampan.buildkit.sources import Client, Files, ids_of
from sampan.buildkit.statuses import Statuses
from sampan.buildkit.subrequests import answer, findings, url_of
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.faults import DockerfileError, Range
from sampan.dockerfile.instructions import Dockerfile
from sampan.dockerfile.parse import parse
from sampan.errors import NotImplementedHere, SampanError
from sampan.images.platforms import builders_platform, parse_platform

_CODE = re.compile(r"returned a non-zero code: (\d+)\Z")
_KINDS = {"moby": "image", "": "image"}
"""What Docker's own builder calls the exporter into its store."""
_NO_MATTER = frozenset(("unpack", "store", "load", "dangling-name-prefix", "name-canonical"))
"""How and where containerd keeps an image."""


class _Report(GraphReport):
    """Tells the progress, and remembers where it went wrong."""

    def __init__(self, statuses: Statuses) -> None:
        self.reporter = Reporter(statuses, time.time_ns)
        super().__init__(self.reporter)
        self._loop = asyncio.get_running_loop()
        self._graph: Graph | None = None
        self.place: Place | None = None

    def planned(self, graph: Graph) -> None:
        self._graph = graph
        super().planned(graph)

    def failed(self, place: Place, error: str) -> None:
        self.place = place if self.place is None else self.place
        super().failed(place, self._words(place, error))

    def remark(self, text: str) -> None:
        """Something about the whole; from any thread."""
        self._loop.call_soon_threadsafe(lambda: self.reporter.end(self.reporter.announce(text)))

    @property
    def at(self) -> Range | None:
        """The place in the Dockerfile of what went wrong."""
        return None if self._graph is None or self.place is None else self._graph.vertices[self.place].at

    def _words(self, place: Place, error: str) -> str:
        """The error as BuildKit tells it: of a program by all its words, of a file without the instruction's name."""
        code = _CODE.search(error)
        operation = self._graph.vertices[place].operation if self._graph is not None else None
        if code is not None and isinstance(operation, Run):
            return faults.command_failed(operation.arguments, int(code[1]))
        return error.removeprefix("COPY failed: ").removeprefix("ADD failed: ")

    def words(self, error: SampanError | OSError) -> str:
        """The same, of what ended the build."""
        return str(error) if self.place is None else self._words(self.place, str(error))


@dataclass(frozen=True, slots=True)
class Workshop:
    """What builds of this front end are made with."""

    builder: Builder
    sessions: Sessions
    pools: Pools

    async def build(self, solve: Solve, given: Mapping[str, str]) -> dict[str, bytes]:
        """Build what these front-end attributes ask for, with the outputs of the solve.

        Gives what a sub-request found, nothing for a build. Raises GRPCError.
        """
        report = _Report(solve.statuses)
        files: Files | None = None
        try:
            asked = attributes.read(given)
            client = Client(self.builder, self.sessions, self.pools, solve.request.Session, given)
            if asked.subrequest:
                files = await client.dockerfile(asked)
                return answer(asked.subrequest, files.file, files.text, parse(files.text), _wish(asked))
            loading = report.reporter.announce(f"[internal] load build definition from {asked.file}")
            report.reporter.start(loading)
            async with client.files(asked) as files:
                report.reporter.end(loading)
                solve.response = await self._build(solve, asked, client, files, report)
                return {}
        except (SampanError, OSError) as error:
            raise _told(error, report, files) from error

    async def _build(self, solve: Solve, asked: Asked, client: Client, files: Files, report: _Report) -> dict[str, str]:
        dockerfile = parse(files.text)
        _refuse(solve, asked)
        _warn(report.reporter, files, dockerfile, _wish(asked))
        session = await client.session()
        outputs = _outputs(solve.request, session)
        kinds = [one.type for one in outputs]
        async with AsyncExitStack() as stack:
            agents = await stack.enter_async_context(client.agents(ids_of(dockerfile, "ssh")))
            into = stack.enter_context(self.builder.directory())
            sending = await stack.enter_async_context(Sending(session, kinds, into))
            request = BuildRequest(
                dockerfile=files.text,
                file=files.file,
                wish=_wish(asked),
                contexts=files.contexts,
                pull=asked.pull,
                no_cache=asked.no_cache,
                no_cache_filter=asked.no_cache_filter,
                cache_from=_imports(asked, solve.request),
                cache_to=_exports(solve.request),
                outputs=outputs,
                attests=asked.attestations,
                run=_settings(asked),
                allowed=entitlements(solve.request.Entitlements, self.builder.manner.entitlements),
                secrets=await client.secrets(ids_of(dockerfile, "secret")),
                ssh=agents,
                credentials=await client.credentials(dockerfile, _wish(asked)),
                clock=clock_of(asked.arguments.get("SOURCE_DATE_EPOCH", "")),
            )
            built = await self.builder.build(request, dockerfile, report, report.remark, sending.pass_on)
        told: dict[str, str] = {"containerimage.digest": built.digest}
        if not request.several:
            told["containerimage.config.digest"] = built.main.image
        if built.names:
            told["image.name"] = ",".join(built.names)
        return told


def _warn(reporter: Reporter, files: Files, dockerfile: Dockerfile, wish: Wish) -> None:
    """What the checks find. Raises DockerfileError where the file wants findings to be errors."""
    found = findings(dockerfile, wish)
    for finding in found.findings:
        start, end = finding.at
        reporter.warn(
            WarningEvent(
                rule=finding.rule,
                message=finding.message,
                url=url_of(finding.rule),
                file=files.file,
                line=start.line,
                end=end.line,
                vertex=Number(1),
            )
        )
    if found.refuses:
        rules = ", ".join(sorted({finding.rule for finding in found.findings}))
        raise DockerfileError(f"lint violation found for rules: {rules}", found.findings[0].at)


def _refuse(solve: Solve, asked: Asked) -> None:
    """What is not there yet, by name."""
    request = solve.request
    missing: Sequence[tuple[bool, str]] = (
        (bool(asked.remote), "building from a remote context over BuildKit's protocol"),
        (bool(request.SourcePolicy) or bool(request.SourcePolicySession), "source policies"),
        (asked.multi_platform, "an index for one platform (multi-platform=true)"),
        (request.EnableSessionExporter, "exporters of a session"),
    )
    for is_asked, what in missing:
        if is_asked:
            raise NotImplementedHere(f"not implemented by Sampan yet: {what}")
    attributes.first_platform(asked)


def _wish(asked: Asked) -> Wish:
    here = builders_platform()
    platform = attributes.first_platform(asked)
    machines = Machines(here, parse_platform(platform) if platform else here)
    named = {name.lower(): _meaning(name, text) for name, text in asked.named.items()}
    return Wish(machines, asked.target, asked.arguments, asked.labels, named)


def _meaning(name: str, text: str) -> NamedContext:
    """What a named context is. Raises NotImplementedHere for one that is neither of the client, nor an image, nor a repository."""
    kind, colon, rest = text.partition(":")
    if kind == "local":
        return NamedContext()
    if kind == "docker-image":
        return NamedContext(image=rest.removeprefix("//"))
    if is_git(text):
        return NamedContext(repository=text)
    raise NotImplementedHere(f"not implemented by Sampan yet: the context {name[:100]} from {kind[:100]}{colon}")


def _settings(asked: Asked) -> RunSettings:
    return RunSettings(
        cgroup_parent=asked.cgroup_parent,
        shm_size=asked.shm_size,
        ulimits=asked.ulimits,
        extra_hosts=asked.extra_hosts,
        network=asked.network,
    )


def _exporters(request: control.SolveRequest) -> list[tuple[str, Mapping[str, str]]]:
    if request.Exporters:
        return [(one.Type, one.Attrs) for one in request.Exporters]
    return [(request.ExporterDeprecated, request.ExporterAttrsDeprecated)] if request.ExporterDeprecated else []


def _outputs(request: control.SolveRequest, session: Session) -> tuple[Output, ...]:
    """What is to become of the image, in the words of `--output`; a client that says nothing wants it in the cache alone."""
    found = []
    for kind, given in _exporters(request):
        attributes = {key: value for key, value in given.items() if key not in _NO_MATTER}
        if kind == "docker" and session.offers(METHOD):
            # The client keeps to itself where the archive goes; that it takes one says that it wants one.
            attributes["dest"] = "-"
        found.append(Output(_KINDS.get(kind, kind), attributes))
    return tuple(found) or (Output("cacheonly"),)


def _imports(asked: Asked, request: control.SolveRequest) -> tuple[CacheOption, ...]:
    entries = [CacheOption(one.Type, dict(one.Attrs)) for one in request.Cache.Imports]
    entries += [CacheOption("registry", {"ref": ref}) for ref in request.Cache.ImportRefsDeprecated]
    return _reachable("from", [*entries, *asked.cache_from])


def _exports(request: control.SolveRequest) -> tuple[CacheOption, ...]:
    return _reachable("to", [CacheOption(one.Type, dict(one.Attrs)) for one in request.Cache.Exports])


def _reachable(way: str, options: Sequence[CacheOption]) -> tuple[CacheOption, ...]:
    """Raises NotImplementedHere for a cache in a directory of the client: it is reached by another service."""
    if any(option.type == "local" for option in options):
        raise NotImplementedHere(
            f"not implemented by Sampan yet: --cache-{way} type=local over BuildKit's protocol; use type=registry, "
            f"or sampan build --cache-{way}"
        )
    return tuple(options)


def _told(error: SampanError | OSError, report: _Report, files: Files | None) -> GRPCError:
    details: list[Detail] = []
    at = error.at if isinstance(error, DockerfileError) else report.at
    if at is not None and files is not None:
        details.append(faults.source_detail(files.file, files.text, at))
    # What is wrong with what is built has no kind of its own in BuildKit; a client shows the others' names.
    status = faults.status_of(error) if isinstance(error, NotImplementedHere) else Status.UNKNOWN
    return GRPCError(status, report.words(error), details)
