"""`build --check`: what is allowed and likely a mistake. Reads the Dockerfile and runs nothing."""

import re
from collections.abc import Callable, Mapping

import msgspec

from sampan.dockerfile.arguments import Machines, global_scope
from sampan.dockerfile.faults import DockerfileError, Range, closest, quoted
from sampan.dockerfile.ignore import Ignore
from sampan.dockerfile.instructions import Arg, Dockerfile, From, Instruction, Maintainer, Stage
from sampan.dockerfile.rules import Finding, Notes, Switches
from sampan.dockerfile.stage_checks import StageState, check_stage
from sampan.dockerfile.stages import SCRATCH, Links, link, needed, target_stage
from sampan.dockerfile.words import Expansion, Rules, expand
from sampan.spec.oci_image import ImageConfig

_EMPTY = ImageConfig(env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
_RESERVED = ("context", "scratch")
_PLATFORM = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+(/[a-z0-9_.]+)?)?", re.ASCII | re.IGNORECASE)


class Circumstances(msgspec.Struct, frozen=True):
    """What a check is told beside the file. `target`: only what this stage needs is checked; "" is every stage.

    `base` gives an image's configuration, None where it is not known; then nothing is said about variables that it may set.
    """

    machines: Machines
    is_reference: Callable[[str], bool]
    base: Callable[[str], ImageConfig | None]
    given: Mapping[str, str] = {}
    target: str = ""
    ignore: Ignore | None = None


class Report(msgspec.Struct, frozen=True):
    """`findings` in the file's order. `error`: the file cannot be built at all; what stands behind the fault was not checked.

    `refuses`: the file wants findings to be errors (`# check=error=true`).
    """

    findings: tuple[Finding, ...]
    error: DockerfileError | None = None
    refuses: bool = False


def check(dockerfile: Dockerfile, circumstances: Circumstances) -> Report:
    """Check a Dockerfile. Raises DockerfileError for a check directive that is wrong."""
    directive = dockerfile.directive("check")
    given = circumstances.given.get("BUILDKIT_DOCKERFILE_CHECK")
    text = directive.value.partition(" ")[0] if given is None and directive else given or ""
    notes = Notes(Switches.parse(text, directive.at if directive else None))
    _check_writing(dockerfile, notes)
    error = None
    try:
        _check_meaning(dockerfile, circumstances, notes)
    except DockerfileError as fault:
        error = fault
    found = tuple(sorted(notes.found, key=lambda finding: (finding.at.start, finding.rule)))
    return Report(found, error, notes.switches.error and bool(found))


def _check_meaning(dockerfile: Dockerfile, circumstances: Circumstances, notes: Notes) -> None:
    stages = dockerfile.stages
    target = target_stage(dockerfile, circumstances.target)
    _check_default_bases(dockerfile, circumstances, notes)
    scope = global_scope(dockerfile, circumstances.given, circumstances.machines, circumstances.target)
    for stage in stages:
        _check_from(dockerfile, stage, scope, notes)
    links = link(dockerfile, scope)
    wanted = needed(links, target) if circumstances.target else range(len(stages))
    ends: dict[int, StageState] = {}
    for index in wanted:
        base = links[index].base
        start = ends[base.stage] if base.stage is not None else _image(links[index], circumstances)
        ends[index] = check_stage(
            dockerfile, links[index], scope, circumstances.given, start, notes, circumstances.ignore
        )


def _image(links: Links, circumstances: Circumstances) -> StageState:
    reference = links.base.image
    if reference == SCRATCH:
        return StageState(_EMPTY, known=True)
    if not circumstances.is_reference(reference):
        message = f"failed to parse stage name {quoted(reference)}: invalid reference format"
        raise DockerfileError(message, links.stage.start.base.at)
    config = circumstances.base(reference)
    return StageState(config or ImageConfig(), known=config is not None)


def _check_writing(dockerfile: Dockerfile, notes: Notes) -> None:
    for at in dockerfile.blank_continuations:
        notes.add("NoEmptyContinuation", "Empty continuation line", at)
    everything: list[Instruction] = [*dockerfile.arguments]
    for stage in dockerfile.stages:
        everything += [stage.start, *stage.instructions]
    for instruction in everything:
        comments = instruction.written.comments
        if isinstance(instruction, Maintainer):
            message = "Maintainer instruction is deprecated in favor of using label"
            notes.add("MaintainerDeprecated", message, instruction.at, comments)
        elif isinstance(instruction, From):
            _check_stage_name(instruction, notes)
        elif isinstance(instruction, Arg):
            _check_description("ARG", [one.name for one in instruction.definitions], instruction, notes)
    _check_names(dockerfile, notes)
    _check_casing([one for one in everything if one not in dockerfile.arguments], notes)


def _check_stage_name(start: From, notes: Notes) -> None:
    if not start.stage:
        return
    comments = start.written.comments
    if start.stage_written != start.stage:
        notes.add("StageNameCasing", f"Stage name '{start.stage_written}' should be lowercase", start.at, comments)
    keyword, other = start.written.keyword, start.as_keyword
    wanted = other.lower() if keyword.islower() else other.upper()
    if (keyword.islower() or keyword.isupper()) and other != wanted:
        notes.add("FromAsCasing", f"'{other}' and '{keyword}' keywords' casing do not match", start.at, comments)
    _check_description("FROM", [start.stage], start, notes)


def _check_description(keyword: str, names: list[str], instruction: Instruction, notes: Notes) -> None:
    comments = instruction.written.comments
    if comments and comments[-1].split(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        message = f"Comment for {keyword} should follow the format: `# {example} <description>`"
        notes.add("InvalidDefinitionDescription", message, instruction.at, comments)


def _check_names(dockerfile: Dockerfile, notes: Notes) -> None:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        name = stage.start.stage
        if name in _RESERVED:
            message = f"Stage name should not use the same name as reserved stage {quoted(name)}"
            notes.add("ReservedStageName", message, stage.start.at)
        if name in seen:
            message = f"Duplicate stage name {quoted(name)}, stage names should be unique"
            notes.add("DuplicateStageName", message, stage.start.at)
        if name:
            seen.add(name)


def _check_casing(instructions: list[Instruction], notes: Notes) -> None:
    keywords = [instruction.written.keyword for instruction in instructions]
    lower = sum(map(str.islower, keywords)) > sum(map(str.isupper, keywords))
    for instruction in instructions:
        keyword = instruction.written.keyword
        if keyword != (keyword.lower() if lower else keyword.upper()):
            casing = "lowercase" if lower else "uppercase"
            message = f"Command '{keyword}' should match the case of the command majority ({casing})"
            notes.add("ConsistentInstructionCasing", message, instruction.at)


def _check_default_bases(dockerfile: Dockerfile, circumstances: Circumstances, notes: Notes) -> None:
    """A base must make sense when nobody gives anything."""
    try:
        scope = global_scope(dockerfile, {}, circumstances.machines, circumstances.target)
    except DockerfileError:
        return  # it will be said when the values that were given are put in
    for stage in dockerfile.stages:
        base = stage.start.base
        if not circumstances.is_reference(_expansion(base.text, scope, dockerfile, base.at).text):
            message = f"Default value for ARG {base.text} results in empty or invalid base image name"
            notes.add("InvalidDefaultArgInFrom", message, stage.start.at)


def _check_from(dockerfile: Dockerfile, stage: Stage, scope: Mapping[str, str], notes: Notes) -> None:
    start = stage.start
    declared = {one.name for instruction in dockerfile.arguments for one in instruction.definitions} | set(scope)
    platform = _expansion(start.platform, scope, dockerfile, start.at)
    for name in sorted(
        (_expansion(start.base.text, scope, dockerfile, start.base.at).unset | platform.unset) - declared
    ):
        meant = closest(name, declared)
        message = f"FROM argument '{name}' is not declared" + (f" (did you mean {meant}?)" if meant else "")
        notes.add("UndefinedArgInFrom", message, start.at, start.written.comments)
    if platform.used == {"TARGETPLATFORM"} and not platform.unset and platform.text == scope["TARGETPLATFORM"]:
        message = (
            f"Setting platform to predefined {start.platform} in FROM is redundant as this is the default behavior"
        )
        notes.add("RedundantTargetPlatform", message, start.at, start.written.comments)
    constant = not platform.used and not platform.unset and _PLATFORM.fullmatch(platform.text) is not None
    # A stage that bears its platform's name says that it means this one.
    if constant and not any(part in start.stage for part in platform.text.split("/")[:2]):
        message = f"FROM --platform flag should not use constant value {quoted(platform.text)}"
        notes.add("FromPlatformFlagConstDisallowed", message, start.at, start.written.comments)


def _expansion(text: str, scope: Mapping[str, str], dockerfile: Dockerfile, at: Range) -> Expansion:
    try:
        return expand(text, scope, Rules(escape=dockerfile.escape))
    except DockerfileError as error:
        raise DockerfileError(error.message, at) from None
