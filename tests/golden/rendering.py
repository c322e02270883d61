"""A Dockerfile's tree, its stages' configurations and what the checks say, as text that can be reviewed."""

import json
from collections.abc import Iterator

import msgspec

from sampan.dockerfile import instructions as tree
from sampan.dockerfile.arguments import Machines, StageScope, global_scope
from sampan.dockerfile.checks import Circumstances, check
from sampan.dockerfile.configuration import configure, inherited
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.heredocs import Heredoc
from sampan.dockerfile.instructions import Command, Dockerfile, Instruction, Pair, Word
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import Origin, link
from sampan.errors import InvalidParameter
from sampan.images.references import parse_reference
from sampan.spec.oci_image import ImageConfig, Platform

MACHINES = Machines(Platform("amd64", "linux"), Platform("arm64", "linux"))
_SHOWN_ELSEWHERE = ("written",)
_USUAL = ("", (), None, False, 0, "default", "sandbox")


def render(text: str) -> str:
    """Everything that is read from a Dockerfile. Raises DockerfileError."""
    dockerfile = parse(text)
    lines = [f"directive {one.name} = {json.dumps(one.value)}  {one.at}" for one in dockerfile.directives]
    for argument in dockerfile.arguments:
        lines += _instruction(argument)
    for stage in dockerfile.stages:
        lines += _instruction(stage.start)
        for instruction in stage.instructions:
            lines += [f"  {line}" for line in _instruction(instruction)]
    return "\n".join([*lines, "", *_meaning(dockerfile), "", *_checks(dockerfile)]) + "\n"


def error_of(text: str) -> str:
    """What is said of a Dockerfile that is wrong, and where; with the check's errors."""
    try:
        dockerfile = parse(text)
        report = check(dockerfile, Circumstances(MACHINES, _is_reference, lambda _: None))
    except DockerfileError as error:
        return f"{error}\n{error.at}\n"
    assert report.error is not None, "nothing is wrong with it"
    return f"{report.error}\n{report.error.at}\n"


def _instruction(instruction: Instruction) -> Iterator[str]:
    yield f"{instruction.name}  {instruction.at}"
    for comment in instruction.written.comments:
        yield f"  comment {json.dumps(comment)}"
    for name in instruction.__struct_fields__:
        value = getattr(instruction, name)
        if name not in _SHOWN_ELSEWHERE and value not in _USUAL:
            for line in _member(value):
                yield f"  {name} {line}"


def _member(value: object) -> Iterator[str]:
    match value:
        case tuple():
            for one in value:
                yield from _member(one)
        case Word():
            yield f"{_text(value.text)}  {value.at}"
        case Pair():
            yield f"{value.name} {'(space)' if value.spaced else '='} {_text(value.value)}  {value.at}"
        case tree.Definition():
            yield f"{value.name}{'' if value.default is None else ' = ' + _text(value.default)}  {value.at}"
        case Command():
            words = " ".join(map(_text, value.words))
            yield f"{'shell' if value.for_shell else 'exec'} {words}  {value.at}"
            for heredoc in value.heredocs:
                yield from _member(heredoc)
        case Heredoc():
            mark = value.mark
            how = f"{'' if mark.expand else ' quoted'}{' without tabs' if mark.tabs_stripped else ''}"
            yield f"heredoc {mark.name}{how} {_text(value.body)}  {value.at}"
        case str():
            yield _text(value)
        case _:
            yield str(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _meaning(dockerfile: Dockerfile) -> Iterator[str]:
    """What each stage stands on, takes from and is configured as; of images nothing is known."""
    outer = global_scope(dockerfile, {}, MACHINES)
    configs: list[ImageConfig] = []
    for links in link(dockerfile, outer):
        config = ImageConfig() if links.base.stage is None else inherited(configs[links.base.stage])
        scope = StageScope(outer, {}, dockerfile.escape)
        cmd_given = False
        for instruction in links.instructions:
            if isinstance(instruction, tree.Arg):
                scope.declare(instruction, config)
            else:
                config = configure(config, instruction, scope.expander(config), cmd_given)
            cmd_given = cmd_given or isinstance(instruction, tree.Cmd)
        configs.append(config)
        uses = "".join(f", takes from {_origin(use.origin)}" for use in links.uses)
        platform = f" for {links.platform}" if links.platform else ""
        yield f"stage {links.stage.title} stands on {_origin(links.base)}{platform}{uses}"
        members = msgspec.to_builtins(config)
        yield from (f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in members.items())


def _origin(origin: Origin) -> str:
    return f"image {origin.image}" if origin.stage is None else f"stage {origin.stage}"


def _checks(dockerfile: Dockerfile) -> Iterator[str]:
    report = check(dockerfile, Circumstances(MACHINES, _is_reference, lambda _: None))
    for finding in report.findings:
        yield f"check {finding.rule} {finding.message}  {finding.at}"
    if report.error is not None:
        yield f"error {report.error}  {report.error.at}"
    if report.refuses:
        yield "findings are errors"
    if not report.findings and report.error is None:
        yield "nothing to remark"


def _is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except InvalidParameter:
        return False
    return True
