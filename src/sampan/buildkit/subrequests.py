"""Requests that build nothing: `--check` (lint), `--call=targets`, `--call=outline`. Pure.

Answers are documents of BuildKit's form (frontend/subrequests), with a text that says the same for a terminal.
"""

import base64
import json
from collections.abc import Mapping, Sequence

from sampan.build.planning import Wish
from sampan.dockerfile import instructions as tree
from sampan.dockerfile.arguments import global_scope
from sampan.dockerfile.checks import Circumstances, Report, check
from sampan.dockerfile.faults import Range
from sampan.dockerfile.instructions import Dockerfile, Stage
from sampan.dockerfile.stages import link, needed, target_stage
from sampan.errors import NotImplementedHere, SampanError
from sampan.images.references import parse_reference

Metadata = dict[str, bytes]
_DESCRIBE, _LINT, _OUTLINE, _TARGETS = (
    "frontend.subrequests.describe",
    "frontend.lint",
    "frontend.outline",
    "frontend.targets",
)
_DESCRIBED = (
    (_LINT, "Lint a Dockerfile", ("result.json", "result.txt", "result.statuscode")),
    (_OUTLINE, "List all parameters current build target supports", ("result.json", "result.txt")),
    (_TARGETS, "List all targets current build supports", ("result.json", "result.txt")),
    (_DESCRIBE, "List available subrequest types", ("result.json", "result.txt")),
)


def findings(dockerfile: Dockerfile, wish: Wish) -> Report:
    """What the checks say of the file, bases unseen. Raises DockerfileError for a wrong check directive."""
    return check(dockerfile, Circumstances(wish.machines, _is_reference, lambda _: None, wish.given, wish.target))


def _is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except SampanError:
        return False
    return True


def answer(request: str, name: str, text: str, dockerfile: Dockerfile, wish: Wish) -> Metadata:
    """The result's metadata. Raises NotImplementedHere for another request, DockerfileError."""
    match request:
        case "frontend.lint":
            return _lint(name, text, dockerfile, wish)
        case "frontend.targets":
            return _targets(text, dockerfile)
        case "frontend.outline":
            return _outline(text, dockerfile, wish)
        case "frontend.subrequests.describe":
            return _describe()
        case _:
            raise NotImplementedHere(f"unsupported request {request[:100]}")


def _result(document: object, text: str, **more: bytes) -> Metadata:
    data = json.dumps(document, indent=2).encode()
    return {"result.json": data, "result.txt": text.encode(), "version": b"1.0.0", **more}


def _location(at: Range) -> dict[str, object]:
    return {"ranges": [{"start": {"line": at.start.line}, "end": {"line": at.end.line}}]}


def _lint(name: str, text: str, dockerfile: Dockerfile, wish: Wish) -> Metadata:
    report = findings(dockerfile, wish)
    warnings = [
        {
            "ruleName": finding.rule,
            "description": finding.description,
            "url": url_of(finding.rule),
            "detail": finding.message,
            "location": _location(finding.at),
        }
        for finding in report.findings
    ]
    source = {"filename": name, "language": "Dockerfile", "data": base64.b64encode(text.encode()).decode()}
    document: dict[str, object] = {"warnings": warnings, "sources": [source]}
    if report.error is not None:
        at = report.error.at
        document["buildError"] = {"message": str(report.error), "location": _location(at) if at else {}}
    shown = "".join(
        f"\nWARNING: {finding.rule} - {url_of(finding.rule)}\n{finding.message}\n{name}:{finding.at.start.line}\n"
        for finding in report.findings
    )
    status = b"1" if report.findings or report.error is not None else b"0"
    return _result(document, shown, **{"result.statuscode": status})


def url_of(rule: str) -> str:
    """Where Docker explains a rule."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in rule).lstrip("-")
    named = {"JSONArgsRecommended": "json-args-recommended"}
    return f"https://docs.docker.com/go/dockerfile/rule/{named.get(rule, words)}/"


def _targets(text: str, dockerfile: Dockerfile) -> Metadata:
    last = dockerfile.stages[-1]
    targets = []
    for stage in dockerfile.stages:
        if not stage.start.stage and stage is not last:
            continue
        target: dict[str, object] = {"base": stage.start.base.text, "location": _location(stage.start.at)}
        if stage.start.stage:
            target["name"] = stage.start.stage
        if stage is last:
            target["default"] = True
        if described := _description(stage.start, stage.start.stage):
            target["description"] = described
        targets.append(target)
    rows = [("TARGET", "DESCRIPTION")]
    for target in targets:
        name = str(target.get("name", ""))
        mark = "(default)" if target.get("default") else ""
        rows.append((f"{name} {mark}".strip(), str(target.get("description", ""))))
    document = {"targets": targets, "sources": [base64.b64encode(text.encode()).decode()]}
    return _result(document, _table(rows))


def _description(instruction: tree.Instruction, name: str) -> str:
    """What the comment above it says of `name`."""
    comments = instruction.written.comments
    first, _, rest = comments[-1].partition(" ") if comments else ("", "", "")
    return rest.strip() if first == name and name else ""


def _outline(text: str, dockerfile: Dockerfile, wish: Wish) -> Metadata:
    scope = global_scope(dockerfile, wish.given, wish.machines, wish.target)
    target = target_stage(dockerfile, wish.target)
    links = link(dockerfile, scope)
    stages = [dockerfile.stages[index] for index in needed(links, target)]
    arguments = [*_arguments(dockerfile.arguments, scope)]
    for stage in stages:
        own = [one for one in stage.instructions if isinstance(one, tree.Arg)]
        arguments += _arguments(own, {**scope, **wish.given})
    unique = list({str(one["name"]): one for one in arguments}.values())
    secrets, agents, caches = (_mounts(stages, kind) for kind in ("secret", "ssh", "cache"))
    document: dict[str, object] = {"sources": [base64.b64encode(text.encode()).decode()]}
    if target.start.stage:
        document["name"] = target.start.stage
    if described := _description(target.start, target.start.stage):
        document["description"] = described
    lists = {"args": unique, "secrets": secrets, "ssh": agents}
    document.update({key: found for key, found in lists.items() if found})
    if caches:
        document["cache"] = [{"ID": one["name"], "location": one["location"]} for one in caches]
    shown = f"TARGET: {target.start.stage or '(default)'}\n"
    if described:
        shown += f"DESCRIPTION: {described}\n"
    if unique:
        rows = [(str(one["name"]), str(one.get("value", "")), str(one.get("description", ""))) for one in unique]
        shown += "\n" + _table([("BUILD ARG", "VALUE", "DESCRIPTION"), *rows])
    for title, found in (("SECRET", secrets), ("SSH", agents), ("CACHE", caches)):
        if found:
            needed_rows = [(str(one["name"]), "true" if one.get("required") else "") for one in found]
            shown += "\n" + _table([(title, "REQUIRED"), *needed_rows])
    return _result(document, shown)


def _arguments(
    instructions: "tuple[tree.Arg, ...] | list[tree.Arg]", scope: Mapping[str, str]
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for instruction in instructions:
        for definition in instruction.definitions:
            default = definition.default or ""
            one: dict[str, object] = {"name": definition.name, "location": _location(instruction.at)}
            if value := scope.get(definition.name, default):
                one["value"] = value
            if described := _description(instruction, definition.name):
                one["description"] = described
            found.append(one)
    return found


def _mounts(stages: list[Stage], kind: str) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for stage in stages:
        for instruction in stage.instructions:
            for name, required in mount_ids(instruction, kind):
                one: dict[str, object] = {"name": name, "location": _location(instruction.at)}
                if required or found.get(name, {}).get("required"):
                    one["required"] = True
                found[name] = one
    return list(found.values())


def mount_ids(instruction: tree.Instruction, kind: str) -> list[tuple[str, bool]]:
    """The ids of `RUN --mount=type=KIND`, and whether each is required, as they are written, variables and all."""
    if not isinstance(instruction, tree.Run):
        return []
    found = []
    for word in instruction.mounts:
        options = dict(part.partition("=")[::2] for part in word.text.split(","))
        if options.get("type") != kind:
            continue
        target = options.get("target") or options.get("dst") or options.get("destination") or ""
        usual = {"secret": target.rpartition("/")[2], "ssh": "default", "cache": target}[kind]
        name = options.get("id") or usual
        if name:
            found.append(
                (name, options.get("required", "false" if "required" not in options else "true") in ("", "true", "1"))
            )
    return found


def _describe() -> Metadata:
    document = [
        {
            "name": name,
            "version": "1.0.0",
            "type": "rpc",
            "description": description,
            "opts": [],
            "metadata": [{"name": one} for one in metadata],
        }
        for name, description, metadata in _DESCRIBED
    ]
    rows = [("NAME", "VERSION", "DESCRIPTION"), *((name, "1.0.0", told) for name, told, _ in _DESCRIBED)]
    return _result(document, _table(rows))


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(len(rows[0]))]
    return "".join(
        "".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )
