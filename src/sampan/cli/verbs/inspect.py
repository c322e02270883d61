"""`inspect` in its forms: the daemon's own JSON, indented, or what a template makes of it."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client import documents
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

    Fetch = Callable[[Session, Parsed, str], bytes]


def _container(session: Session, parsed: Parsed, name: str) -> bytes:
    query = {"size": "1" if parsed.flag("size") else None}
    return session.engine.fetch_raw(f"/containers/{quoted(name)}/json", query)


def _image(session: Session, _parsed: Parsed, name: str) -> bytes:
    return session.engine.fetch_raw(f"/images/{quoted(name, '/:@')}/json")


def _network(session: Session, parsed: Parsed, name: str) -> bytes:
    verbose = any(option.name == "verbose" for option in parsed.command.options) and parsed.flag("verbose")
    return session.engine.fetch_raw(f"/networks/{quoted(name)}", {"verbose": "true" if verbose else None})


def _volume(session: Session, _parsed: Parsed, name: str) -> bytes:
    return session.engine.fetch_raw(f"/volumes/{quoted(name)}")


def _plugin(session: Session, _parsed: Parsed, name: str) -> bytes:
    return session.engine.fetch_raw(f"/plugins/{quoted(name, '/:@')}/json")


_KINDS: dict[str, Fetch] = {
    "container": _container,
    "image": _image,
    "network": _network,
    "volume": _volume,
    "plugin": _plugin,
}
_NOT_HERE = ("node", "service", "task", "secret", "config")


def _any(session: Session, parsed: Parsed, name: str) -> bytes:
    for fetch in _KINDS.values():
        try:
            return fetch(session, parsed, name)
        except RefusedByDaemon as refusal:
            if refusal.status != 404:
                raise
    raise RefusedByDaemon(404, f"No such object: {name}")


def _inspect(session: Session, parsed: Parsed, fetch: Fetch, prefix: str = "") -> int:
    found: list[str] = []
    failures: list[str] = []
    for name in parsed.words:
        try:
            found.append(str(fetch(session, parsed, name), "utf-8", "replace").strip())
        except RefusedByDaemon as refusal:
            failures.append(prefix + refusal.message if prefix else str(refusal))
    print_inspected(session, parsed.text("format"), found)
    if failures:
        raise Exit(1, "\n".join(failures))
    return 0


def print_inspected(session: Session, form: str, found: list[str]) -> None:
    """JSON documents as --format asks for them. Exit for a template that cannot be carried out."""
    from sampan.cli.output.go_json import compact, indent

    if not form:
        session.say(indent("[" + ",".join(found) + "]"))
        return
    if form == "json":
        session.say(compact([documents.parse(text) for text in found]))
        return
    from sampan.templates.evaluate import Template, TemplateError

    try:
        template = Template(form, compact)
    except TemplateError as error:
        raise Exit(64, f"template parsing error: {error}") from error
    try:
        lines = [template.render(documents.parse(text)) for text in found]
    except TemplateError as error:
        session.say("")
        raise Exit(1, f"template parsing error: {error}") from error
    session.say("\n".join(lines) if lines else "")


def _inspect_any(session: Session, parsed: Parsed) -> int:
    kind = parsed.text("type")
    if kind in _NOT_HERE:
        raise Exit(1, f'type "{kind}" is not implemented: this engine has no such objects')
    if kind and kind not in _KINDS:
        known = ", ".join(f'"{name}"' for name in sorted((*_KINDS, *_NOT_HERE)))
        raise Exit(1, f'unknown type: "{kind}": must be one of {known}')
    return _inspect(session, parsed, _KINDS[kind]) if kind else _inspect(session, parsed, _any, "Error: ")


def _inspect_container(session: Session, parsed: Parsed) -> int:
    return _inspect(session, parsed, _container)


def _inspect_image(session: Session, parsed: Parsed) -> int:
    return _inspect(session, parsed, _image)


def inspect_network(session: Session, parsed: Parsed) -> int:
    """Networks as JSON or by a template."""
    return _inspect(session, parsed, _network)


def _inspect_plugin(session: Session, parsed: Parsed) -> int:
    return _inspect(session, parsed, _plugin)


def _inspect_volume(session: Session, parsed: Parsed) -> int:
    return _inspect(session, parsed, _volume)


_FORMAT = Option("format", "string", 'How to print it: "json" or a Go template, e.g. {{.State.Pid}}', "f")
_SIZE = Option("size", "bool", "Add the sizes of containers", "s")

INSPECT = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Show everything about containers, images, networks or volumes",
    _inspect_any,
    (_FORMAT, _SIZE, Option("type", "string", "Look only for this type: container, image, network, volume or plugin")),
    words=(1, None),
    completes="container",
    examples=("inspect web", "inspect -f '{{.NetworkSettings.IPAddress}}' web", "inspect --type image web"),
)
INSPECT_CONTAINER = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]", "Show everything about containers", _inspect_container, (_FORMAT, _SIZE),
    words=(1, None), completes="container", examples=("container inspect -s web",),
)  # fmt: skip
INSPECT_IMAGE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Show everything about images",
    _inspect_image,
    (_FORMAT, Option("platform", "string", "Platform of the image", refused="images have one platform here")),
    words=(1, None),
    completes="image",
    examples=("image inspect -f '{{json .Config.Env}}' web",),
)
INSPECT_PLUGIN = Command(
    "[OPTIONS] PLUGIN [PLUGIN...]", "Show everything about plugins", _inspect_plugin, (_FORMAT,),
    words=(1, None), examples=("plugin inspect -f '{{.Enabled}}' vieux/sshfs",),
)  # fmt: skip
INSPECT_VOLUME = Command(
    "[OPTIONS] VOLUME [VOLUME...]", "Show everything about volumes", _inspect_volume, (_FORMAT,),
    words=(1, None), completes="volume", examples=("volume inspect data",),
)  # fmt: skip
