"""One build, from its attributes to its image: what the client has is fetched, the solver builds, the outputs are named.

attributes ─▶ Asked ─▶ Files (contexts) ─▶ BuildRequest (wishes) ─▶ Builder.build ─▶ ExporterResponse
                         any fault ─▶ GRPCError, with the place in the Dockerfile
"""

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import msgspec
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from sampan.build.entitlements import entitlements
from sampan.build.operations import Graph, Place, Run
from sampan.build.planning import Wish
from sampan.build.progress import Number, Reporter, WarningEvent
from sampan.build.reporting import GraphReport
from sampan.build.request import BuildRequest, Built, CacheOption, Output, clock_of, indexed_of
from sampan.build.tree.git_program import redacted
from sampan.buildkit import attributes, faults
from sampan.buildkit.attributes import Asked
from sampan.buildkit.connections import Detail
from sampan.buildkit.contexts import Files, Gathering
from sampan.buildkit.definitions import origins_of
from sampan.buildkit.frontends import check_syntax
from sampan.buildkit.needs import Builder
from sampan.buildkit.origins import Made, Origin
from sampan.buildkit.pools import Pools
from sampan.buildkit.protocol.operations_pb2 import Definition
from sampan.buildkit.sending import Sending
from sampan.buildkit.sessions import Sessions
from sampan.buildkit.solves import Solve, Solves
from sampan.buildkit.sources import Client, ids_of, repositories_of
from sampan.buildkit.statuses import Statuses
from sampan.buildkit.subrequests import answer, findings, url_of
from sampan.buildkit.wishes import Caches, attests_of, outputs_of, refuse, settings_of, wish_of
from sampan.dockerfile.faults import DockerfileError, Range
from sampan.dockerfile.instructions import Dockerfile
from sampan.dockerfile.parse import parse
from sampan.errors import NotImplementedHere, SampanError

_CODE = re.compile(r"returned a non-zero code: (\d+)\Z")
_HELD = (Output("image"),)
"""What a leading client's build is given beside its outputs: the image stays until the client is done, for other builds of it."""


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
class Asking:
    """One call that asks for a build: the front end's attributes, and what comes beside them."""

    attributes: Mapping[str, str]
    inputs: Mapping[str, Definition] = field(default_factory=dict)
    imports: Sequence[CacheOption] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: an image, or for what builds nothing an answer."""

    metadata: Mapping[str, bytes] = field(default_factory=dict)
    image: str = ""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What builds of this front end are made with."""

    builder: Builder
    sessions: Sessions
    pools: Pools
    solves: Solves

    async def build(self, solve: Solve, asking: Asking) -> Outcome:
        """Build what is asked for, with the outputs of the solve. Raises GRPCError."""
        report = _Report(solve.statuses)
        files: Files | None = None
        try:
            asked = attributes.read(asking.attributes)
            client = Client(self.builder, self.sessions, self.pools, solve.request.Session, asking.attributes)
            inputs = origins_of(asking.inputs)
            gathering = Gathering(client, self.builder, self.solves.made, inputs, asked.platforms)
            if asked.subrequest:
                files = await self._translated(await gathering.dockerfile(asked), asked)
                wish = wish_of(asked, files.named)
                return Outcome(answer(asked.subrequest, files.file, files.text, parse(files.text), wish))
            refuse(solve.request)
            where = redacted(asked.remote) or asked.file
            loading = report.reporter.announce(f"[internal] load build definition from {where}")
            report.reporter.start(loading)
            async with gathering.files(asked) as found:
                files = await self._translated(found, asked)
                report.reporter.end(loading)
                built = await self._build(solve, asking, asked, client, files, report)
            return Outcome(image=built.main.image)
        except (SampanError, OSError) as error:
            raise _told(error, report, files) from error

    async def _translated(self, files: Files, asked: Asked) -> Files:
        return replace(files, text=await self.builder.translated(files.text, asked.arguments))

    async def look(self, solve: Solve, origin: Origin) -> str:
        """A source by itself, for the client to read in until the solve ends: the reference that it has. Raises GRPCError."""
        report = _Report(solve.statuses)
        try:
            if isinstance(origin, Made):
                return solve.keep_image(self.solves.made(origin.reference))
            client = Client(self.builder, self.sessions, self.pools, solve.request.Session, {})
            gathering = Gathering(client, self.builder, self.solves.made, {}, ())
            return await solve.look(gathering.source(origin))
        except (SampanError, OSError) as error:
            raise _told(error, report, None) from error

    async def _build(
        self, solve: Solve, asking: Asking, asked: Asked, client: Client, files: Files, report: _Report
    ) -> Built:
        dockerfile = parse(files.text)
        check_syntax(dockerfile)
        wish = wish_of(asked, files.named)
        _warn(report.reporter, files, dockerfile, wish)
        session = await client.session()
        outputs = outputs_of(solve.request, session)
        caches = Caches(client.store)
        async with AsyncExitStack() as stack:
            agents = await stack.enter_async_context(client.agents(ids_of(dockerfile, "ssh")))
            into = stack.enter_context(self.builder.directory())
            sending = await stack.enter_async_context(Sending(session, [one.type for one in outputs], into))
            request = BuildRequest(
                dockerfile=files.text,
                file=files.file,
                wish=wish,
                platforms=asked.targets,
                indexed=asked.multi_platform or indexed_of(asked.arguments),
                contexts=files.contexts,
                pull=asked.pull,
                no_cache=asked.no_cache,
                no_cache_filter=asked.no_cache_filter,
                cache_from=await caches.imports(asked, solve.request, asking.imports),
                cache_to=await caches.exports(solve.request),
                stores=caches.stores,
                outputs=(*outputs, *_HELD) if solve.is_led else outputs,
                attests=attests_of(asked),
                run=settings_of(asked),
                allowed=entitlements(solve.request.Entitlements, self.builder.manner.entitlements),
                secrets=await client.secrets(ids_of(dockerfile, "secret")),
                authorizations=await client.authorizations(repositories_of(dockerfile, files.named)),
                ssh=agents,
                credentials=await client.credentials(dockerfile, wish),
                clock=clock_of(asked.arguments.get("SOURCE_DATE_EPOCH", "")),
            )
            since = time.time_ns()
            built = await self.builder.build(request, dockerfile, report, report.remark, sending.pass_on)
        if solve.is_led and not any(one.type == "image" for one in outputs):
            solve.at_end(lambda: self.builder.forget(built.main.image, since))
        solve.response = _response(built, several=request.several)
        return built


def _response(built: Built, *, several: bool) -> dict[str, str]:
    told: dict[str, str] = {"containerimage.digest": built.digest}
    if not several:
        told["containerimage.config.digest"] = built.main.image
    if built.manifest is not None:
        told["containerimage.descriptor"] = b64encode(msgspec.json.encode(built.manifest)).decode()
    if built.names:
        told["image.name"] = ",".join(built.names)
    if built.cache is not None:
        told["cache.manifest"] = msgspec.json.encode(built.cache).decode()
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


def _told(error: SampanError | OSError, report: _Report, files: Files | None) -> GRPCError:
    details: list[Detail] = []
    at = error.at if isinstance(error, DockerfileError) else report.at
    if at is not None and files is not None:
        details.append(faults.source_detail(files.file, files.text, at))
    # What is wrong with what is built has no kind of its own in BuildKit; a client shows the others' names.
    status = faults.status_of(error) if isinstance(error, NotImplementedHere) else Status.UNKNOWN
    return GRPCError(status, redacted(report.words(error)), details)
