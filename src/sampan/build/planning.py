"""A Dockerfile becomes a graph: variables put in, stages pruned to what the target needs, every operation once. Pure.

missing_images ──> the caller looks them up ──> again, for their triggers may need more ──> plan

For several platforms each is planned by itself, and what comes out the same is there once: a stage with
`FROM --platform=$BUILDPLATFORM` that does not ask for the target's names is run once for all.
"""

from collections.abc import Mapping, Sequence

import msgspec

from sampan.build.added import remote_source
from sampan.build.history import created_by, ran
from sampan.build.operations import (
    ContextSource,
    Copy,
    EmptySource,
    Entry,
    GitSource,
    Graph,
    HostSource,
    ImageSource,
    MakeDirectory,
    Metadata,
    Operation,
    Place,
    Run,
    Step,
    Target,
    Vertex,
)
from sampan.build.placing import plan_copy
from sampan.build.running import environment_of, planned_mount, program
from sampan.dockerfile import instructions as tree
from sampan.dockerfile.arguments import Machines, StageScope, global_scope, platform_text
from sampan.dockerfile.configuration import configure, inherited, joined_path
from sampan.dockerfile.faults import DockerfileError, Range, quoted
from sampan.dockerfile.instructions import Dockerfile, Instruction
from sampan.dockerfile.mounts import Mount, parse_mount
from sampan.dockerfile.stages import SCRATCH, BaseImage, Links, Origin, link, needed, target_stage
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import ImageConfig

HOST = "host"
"""The image that is this machine."""


class NamedContext(msgspec.Struct, frozen=True):
    """What a name means beside the Dockerfile: another image, a git repository, or (both empty) files that came along."""

    image: str = ""
    repository: str = ""


class Wish(msgspec.Struct, frozen=True):
    """What is asked for beside the Dockerfile. `given`: values of ARGs; `labels` go on the target's image."""

    machines: Machines
    target: str = ""
    given: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    contexts: Mapping[str, NamedContext] = {}
    """by name in lower case: what stands for a stage or an image that is called so"""


def missing_images(dockerfile: Dockerfile, wish: Wish, images: Mapping[BaseImage, ImageConfig]) -> list[BaseImage]:
    """The images that must be looked up before `plan`: none where `images` has all. Raises DockerfileError."""
    links = _links(dockerfile, wish, images)
    bases = [links[index] for index in needed(links, target_stage(dockerfile, wish.target))]
    found = {BaseImage(_meant(one.base.image, wish), one.platform) for one in bases if one.base.stage is None}
    return sorted(one for one in found if one.reference not in ("", SCRATCH, HOST) and one not in images)


def _meant(reference: str, wish: Wish) -> str:
    """The image that a reference means; "" where a context of its name holds files."""
    named = wish.contexts.get(reference.lower())
    return reference if named is None else named.image


def plan(dockerfile: Dockerfile, wish: Wish, images: Mapping[BaseImage, ImageConfig]) -> Graph:
    """The graph of one target. `images`: the configurations of all bases, as `missing_images` named them.

    Raises DockerfileError.
    """
    return plan_all(dockerfile, [(wish, images)])


def plan_all(dockerfile: Dockerfile, wishes: Sequence[tuple[Wish, Mapping[BaseImage, ImageConfig]]]) -> Graph:
    """The graph of all of them, a target for each, in their order. Raises DockerfileError."""
    vertices = Vertices()
    targets = []
    for wish, images in wishes:
        links = _links(dockerfile, wish, images)
        target = target_stage(dockerfile, wish.target)
        outer = global_scope(dockerfile, wish.given, wish.machines, wish.target)
        planner = _Planner(dockerfile, wish, outer, images, vertices)
        for index in needed(links, target):
            planner.stage(links[index])
        targets.append(planner.target(target))
    return Graph(tuple(vertices.all), tuple(targets))


def _links(dockerfile: Dockerfile, wish: Wish, images: Mapping[BaseImage, ImageConfig]) -> list[Links]:
    outer = global_scope(dockerfile, wish.given, wish.machines, wish.target)
    triggers = {base: config.on_build or () for base, config in images.items()}
    for name, one in wish.contexts.items():
        triggers |= {BaseImage(name, base.platform): triggers[base] for base in images if base.reference == one.image}
    return link(dockerfile, outer, triggers, wish.contexts.keys())


class Vertices:
    """Gathers vertices; the same operation on the same inputs is there once."""

    def __init__(self) -> None:
        self.all: list[Vertex] = []
        self._places: dict[tuple[bytes, tuple[Place, ...]], Place] = {}

    def add(self, operation: Operation, inputs: Sequence[Place], stage: str, text: str, at: Range) -> Place:
        """Where the operation stands."""
        identity = (msgspec.json.encode(operation), tuple(inputs))
        if identity not in self._places:
            self._places[identity] = Place(len(self.all))
            self.all.append(Vertex(operation, tuple(inputs), stage, text, at))
        return self._places[identity]


class _End(msgspec.Struct):
    """Where a stage has got to."""

    tree: Place
    config: ImageConfig
    author: str
    history: list[Entry]
    steps: list[Step]
    cmd_given: bool = False


class _Planner:
    def __init__(
        self,
        dockerfile: Dockerfile,
        wish: Wish,
        outer: Mapping[str, str],
        images: Mapping[BaseImage, ImageConfig],
        vertices: Vertices,
    ) -> None:
        self._dockerfile = dockerfile
        self._wish = wish
        self._outer = outer
        self._images = images
        self._vertices = vertices
        self._ends: dict[int, _End] = {}

    def target(self, target: tree.Stage) -> Target:
        """What its stage has come to."""
        end = self._ends[target.index]
        labels = {**(end.config.labels or {}), **self._wish.labels}
        config = msgspec.structs.replace(end.config, labels=labels or None)
        metadata = Metadata(config=config, author=end.author, history=tuple(one.text for one in end.history))
        result = self._vertices.add(metadata, (end.tree,), target.title, "image", target.start.at)
        steps = {self._dockerfile.stages[index].title: tuple(one.steps) for index, one in self._ends.items()}
        return Target(self._wish.machines.target, result, steps, tuple(end.history))

    def stage(self, links: Links) -> None:
        """Plan a stage; those it needs have been planned."""
        start = links.stage.start
        end = self._begin(links)
        end.steps.append(Step(start.written.code, start.at, end.tree, end.config))
        self._ends[links.stage.index] = end
        scope = StageScope(self._outer, self._wish.given, self._dockerfile.escape)
        for instruction in links.instructions:
            below = end.tree
            text = self._instruction(links, instruction, scope, end)
            if text is not None:
                end.history.append(Entry(text, end.tree if end.tree != below else None))
            end.steps.append(Step(instruction.written.code, instruction.at, end.tree, end.config))

    def _begin(self, links: Links) -> _End:
        base, start = links.base, links.stage.start
        if base.stage is not None:
            below = self._ends[base.stage]
            return _End(below.tree, inherited(below.config), below.author, [*below.history], [], cmd_given=False)
        place = self._image(base.image, links.platform, links.stage.title, start)
        meant = _meant(base.image, self._wish)
        config = ImageConfig() if meant in (SCRATCH, HOST, "") else self._images[BaseImage(meant, links.platform)]
        if not meant:
            place = self._as_root(place, links)
        return _End(place, inherited(config), "", [], [])

    def _image(self, reference: str, platform: str, stage: str, instruction: Instruction) -> Place:
        source: Operation
        named = self._wish.contexts.get(reference.lower())
        if named is not None and named.repository:
            found = remote_source(named.repository, "", keep_git_dir=False, at=instruction.at)
            if not isinstance(found, GitSource):
                raise DockerfileError(f"the context {quoted(reference)} is no git repository", instruction.at)
            source = found
        elif named is not None and not named.image:
            source = ContextSource(paths=(".",), name=reference.lower())
        elif (reference := _meant(reference, self._wish)) == SCRATCH:
            source = EmptySource()
        elif reference == HOST:
            source = HostSource()
        else:
            source = ImageSource(reference=reference, platform=platform or platform_text(self._wish.machines.target))
        return self._vertices.add(source, (), stage, instruction.written.code, instruction.at)

    def _as_root(self, files: Place, links: Links) -> Place:
        """Files that came along as what a stage stands on."""
        start = links.stage.start
        nothing = self._add(EmptySource(), (), links, start)
        return self._add(Copy(paths=((".",),), destination="/"), (nothing, files), links, start)

    def _instruction(self, links: Links, instruction: Instruction, scope: StageScope, end: _End) -> str | None:
        """Carry it out; how the history tells of it."""
        expander = scope.expander(end.config)
        origins = [use.origin for use in links.uses if use.instruction is instruction]
        match instruction:
            case tree.Arg():
                scope.declare(instruction, end.config)
            case tree.Run():
                end.tree = self._run(links, instruction, scope, end, origins)
                operation = self._vertices.all[end.tree].operation
                assert isinstance(operation, Run)
                return ran(operation.arguments, scope.values)
            case tree.Copy() | tree.Add():
                source = self._origin(origins[0], links, instruction) if origins else None
                title = links.stage.title
                end.tree = plan_copy(self._vertices, instruction, end.tree, source, end.config, expander, title)
            case tree.Maintainer():
                end.author = instruction.author
            case _:
                end.config = configure(end.config, instruction, expander, end.cmd_given)
                end.cmd_given = end.cmd_given or isinstance(instruction, tree.Cmd)
                if isinstance(instruction, tree.WorkDir) and end.config.working_dir != "/":
                    made = MakeDirectory(path=end.config.working_dir, user=end.config.user)
                    end.tree = self._add(made, (end.tree,), links, instruction)
        return created_by(instruction, end.config, expander, scope.values)

    def _add(self, operation: Operation, inputs: Sequence[Place], links: Links, instruction: Instruction) -> Place:
        return self._vertices.add(operation, inputs, links.stage.title, instruction.written.code, instruction.at)

    def _origin(self, origin: Origin, links: Links, instruction: Instruction) -> Place:
        if origin.stage is not None:
            return self._ends[origin.stage].tree
        return self._image(origin.image, "", links.stage.title, instruction)

    def _run(self, links: Links, run: tree.Run, scope: StageScope, end: _End, origins: Sequence[Origin]) -> Place:
        config = end.config
        expander = scope.expander(config)
        inputs = [end.tree]
        mounts = []
        left = list(origins)
        for word in run.mounts:
            mount = _mount(word, expander, config)
            place = -1
            if mount.origin:
                inputs.append(self._origin(left.pop(0), links, run))
                place = len(inputs) - 1
            elif mount.type == "bind":
                inputs.append(self._add(ContextSource(paths=(mount.source or ".",)), (), links, run))
                place = len(inputs) - 1
            mounts.append(planned_mount(mount, place))
        arguments, script = program(config, run.command)
        operation = Run(
            arguments=arguments,
            environment=environment_of(scope, config),
            directory=config.working_dir or "/",
            user=config.user,
            network=run.network,
            security=run.security,
            mounts=tuple(mounts),
            script=script,
        )
        return self._add(operation, inputs, links, run)


def _mount(word: tree.Word, expander: Expander, config: ImageConfig) -> Mount:
    """The mount with its target as a path from the root. Raises DockerfileError for one that would hide everything."""
    try:
        mount = parse_mount(word.text, lambda text: expander.text(text, word.at))
    except DockerfileError as error:
        raise DockerfileError(error.message, error.at or word.at) from None
    if mount.type in ("secret", "ssh") and not mount.target:
        return mount
    target = joined_path(config.working_dir, mount.target)
    if not mount.target or target == "/":
        raise DockerfileError(f"invalid mount target {quoted(mount.target)}", word.at)
    return msgspec.structs.replace(mount, target=target)
