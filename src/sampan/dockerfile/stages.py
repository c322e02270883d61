"""How stages hang together: what each stands on and takes from, and which a target needs. Circles are refused."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from sampan.dockerfile.faults import DockerfileError, Range, quoted, suggestion
from sampan.dockerfile.instructions import Copy, Dockerfile, Instruction, OnBuild, Run, Stage
from sampan.dockerfile.mounts import mount_origin
from sampan.dockerfile.parse import instructions
from sampan.dockerfile.script import Script
from sampan.dockerfile.variables import Expander

SCRATCH = "scratch"


class BaseImage(NamedTuple):
    """An image that a stage stands on. `platform` "" is the one that is built for."""

    reference: str
    platform: str = ""


class Origin(msgspec.Struct, frozen=True):
    """Where files come from: a stage by its index, or an image by its reference."""

    stage: int | None = None
    image: str = ""


class Use(msgspec.Struct, frozen=True):
    """An instruction of a stage that takes files from elsewhere."""

    origin: Origin
    instruction: Instruction


class Links(msgspec.Struct, frozen=True):
    """One stage's. `platform` is what FROM asked for, "" for the target's; `triggers` are the base's ONBUILD instructions."""

    stage: Stage
    base: Origin
    platform: str
    triggers: tuple[Instruction, ...]
    uses: tuple[Use, ...]

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """Everything that is done in the stage, what the base asked for first."""
        return (*self.triggers, *self.stage.instructions)


def find_stage(stages: Sequence[Stage], text: str) -> Stage | None:
    """The stage that a name or an index means; of two with one name the later."""
    if text.isascii() and text.isdecimal():
        index = int(text[:9])
        return stages[index] if index < len(stages) else None
    return next((stage for stage in reversed(stages) if stage.start.stage == text.lower()), None)


def target_stage(dockerfile: Dockerfile, target: str) -> Stage:
    """The stage to build: the last where `target` is "". Raises DockerfileError."""
    if not target:
        return dockerfile.stages[-1]
    stage = find_stage(dockerfile.stages, target)
    if stage is None:
        names = [stage.start.stage for stage in dockerfile.stages if stage.start.stage]
        raise DockerfileError(f"target stage {quoted(target)} could not be found{suggestion(target, names)}")
    return stage


def link(
    dockerfile: Dockerfile,
    scope: Mapping[str, str],
    triggers: Mapping[BaseImage, Sequence[str]] | None = None,
    named: Collection[str] = (),
) -> list[Links]:
    """The links of every stage, in the file's order. `triggers` are the ONBUILD texts of images.

    `named`: contexts of these names (in lower case) stand for stages and images that are called so.

    Raises DockerfileError for a base that is empty, a source that is none, a trigger that is no instruction, and for a circle.
    """
    found = [_links(dockerfile, stage, scope, triggers or {}, named) for stage in dockerfile.stages]
    _refuse_circles(found)
    for links in found:
        for use in links.uses:
            if use.origin.stage is not None and use.origin.stage >= links.stage.index:
                raise DockerfileError(_too_early(use, found, links), use.instruction.at)
    return found


def needed(links: Sequence[Links], target: Stage) -> list[int]:
    """The stages that `target` needs, itself included, each after those it needs."""
    wanted = {target.index}
    # Everything a stage needs comes before it in the file.
    for index in range(target.index, -1, -1):
        if index in wanted:
            origins = (links[index].base, *(use.origin for use in links[index].uses))
            wanted |= {origin.stage for origin in origins if origin.stage is not None}
    return sorted(wanted)


def parse_trigger(text: str, at: Range | None = None) -> Instruction:
    """The instruction that an image's ONBUILD says. Raises DockerfileError, with the place of the FROM that pulled it."""
    try:
        found = list(instructions(Script(text)))
    except DockerfileError as error:
        raise DockerfileError(error.message, at) from None
    if len(found) != 1:
        raise DockerfileError("onbuild trigger should be a single expression", at)
    return found[0]


def _links(
    dockerfile: Dockerfile,
    stage: Stage,
    scope: Mapping[str, str],
    image_triggers: Mapping[BaseImage, Sequence[str]],
    named: Collection[str],
) -> Links:
    start = stage.start
    expander = Expander(scope, dockerfile.escape, start.at)
    name = expander.word(start.base)
    if not name:
        raise DockerfileError(f"base name ({start.base.text}) should not be blank", start.base.at)
    platform = expander.text(start.platform)
    if start.platform and not platform:
        raise DockerfileError(f"empty platform value from expression {start.platform}", start.at)
    other = name.isdecimal() or name.lower() in named
    earlier = find_stage(dockerfile.stages[: stage.index], name) if not other else None
    base = Origin(stage=earlier.index) if earlier else Origin(image=name)
    if earlier:
        texts = [one.trigger for one in earlier.instructions if isinstance(one, OnBuild)]
    else:
        texts = list(image_triggers.get(BaseImage(name, platform), ()))
    triggers = tuple(parse_trigger(text, start.at) for text in texts)
    uses = tuple(
        Use(_origin(dockerfile, text, instruction.at, named), instruction)
        for instruction in (*triggers, *stage.instructions)
        for text in _sources(instruction, dockerfile.escape)
    )
    return Links(stage, base, platform, triggers, uses)


def _sources(instruction: Instruction, escape: str) -> list[str]:
    if isinstance(instruction, Copy) and instruction.source:
        if Expander({}, escape, instruction.at).text(instruction.source) != instruction.source:
            raise DockerfileError(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as "
                "a workaround",
                instruction.at,
            )
        return [instruction.source]
    if isinstance(instruction, Run):
        return [origin for mount in instruction.mounts if (origin := mount_origin(mount.text))]
    return []


def _origin(dockerfile: Dockerfile, text: str, at: Range, named: Collection[str]) -> Origin:
    stage = find_stage(dockerfile.stages, text) if text.lower() not in named else None
    if stage is not None:
        return Origin(stage=stage.index)
    if text.lstrip("-").isdecimal():
        raise DockerfileError(f"invalid stage index {text[:20]}", at)
    return Origin(image=text)


def _too_early(use: Use, links: Sequence[Links], current: Links) -> str:
    assert use.origin.stage is not None
    named = quoted(links[use.origin.stage].stage.title)
    here = quoted(current.stage.title)
    if isinstance(use.instruction, Copy):
        return f"cannot copy from stage {named}, it needs to be defined before current stage {here}"
    return f"cannot mount from stage {named} in {here}, stage needs to be defined before current command"


def _refuse_circles(links: Sequence[Links]) -> None:
    """Kahn's order: what is left when nothing more can be built stands in a circle, or needs one that does."""
    # A base always stands above: it closes no circle that the copying from below it does not break first.
    needs = {one.stage.index: {use.origin.stage for use in one.uses if use.origin.stage is not None} for one in links}
    while ready := [index for index, wanted in needs.items() if not wanted]:
        for index in ready:
            del needs[index]
        for wanted in needs.values():
            wanted.difference_update(ready)
    if not needs:
        return
    # Walk along the needs until a stage comes a second time: that one is in the circle.
    seen: list[int] = []
    at = min(needs)
    while at not in seen:
        seen.append(at)
        at = min(needs[at] & needs.keys())
    guilty = links[min(seen[seen.index(at) :])]
    where = next(use.instruction.at for use in guilty.uses if use.origin.stage in needs)
    name = guilty.stage.start.stage or f"stage-{guilty.stage.index}"
    raise DockerfileError(f"circular dependency detected on stage: {name}", where)
