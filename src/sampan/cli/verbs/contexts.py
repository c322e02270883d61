"""`context create`, `ls`, `show`, `use`, `update`, `inspect`, `rm`: named daemons, shared with the docker command."""

from __future__ import annotations

from sampan.cli.config import DEFAULT_CONTEXT
from sampan.cli.contexts import endpoint
from sampan.cli.contexts.store import DESCRIPTION_OF_DEFAULT, Context, Contexts, check_name
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, ellipsis, natural, print_rows
from sampan.client.documents import object_of, text_of
from sampan.errors import SampanError
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

_HEADINGS = Headings(
    {
        "Name": "NAME", "Description": "DESCRIPTION", "DockerEndpoint": "DOCKER ENDPOINT", "Error": "ERROR", "Current": "CURRENT",
    }
)  # fmt: skip
_ERROR_WIDTH = 45


# ---- what there is


def _list(session: Session, parsed: Parsed) -> int:
    contexts, current = Contexts(session), session.context
    names = sorted({*contexts.names(), DEFAULT_CONTEXT, current}, key=natural)
    form = "{{.Name}}" if parsed.flag("quiet") else parsed.text("format")
    is_table = form in ("", "table")
    rows = [_row(contexts, name, name == current, is_table) for name in names]
    print_rows(session, form, ("Name", "Description", "DockerEndpoint", "Error"), _HEADINGS, rows)
    if current == DEFAULT_CONTEXT and session.given.environ.get("DOCKER_HOST"):
        session.warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the "
            "global --context flag, or unset DOCKER_HOST environment variable."
        )
    return 0


def _row(contexts: Contexts, name: str, is_current: bool, is_table: bool) -> Row:
    """One that cannot be loaded is shown with the reason: it is the selected one, or was removed a moment ago."""
    description = host = error = ""
    try:
        meta = contexts.load(name).meta
        description = text_of(object_of(meta, "Metadata"), "Description")
        host = text_of(object_of(object_of(meta, "Endpoints"), "docker"), "Host")
    except (Exit, SampanError) as failure:
        error = str(failure)
    if name == DEFAULT_CONTEXT:
        description = DESCRIPTION_OF_DEFAULT
    shown: Document = {
        "Current": is_current,
        "Description": description,
        "DockerEndpoint": host,
        "Error": ellipsis(error, _ERROR_WIDTH) if is_table else error,
        "Name": f"{name} *" if is_current and is_table else name,
    }
    return Row("*formatter.clientContextContext", {key: _constant(value) for key, value in shown.items()})


def _constant(value: Json) -> Callable[[], Json]:
    return lambda: value


def _show(session: Session, _parsed: Parsed) -> int:
    session.say(session.context)
    return 0


def _inspect(session: Session, parsed: Parsed) -> int:
    from sampan.cli.output.go_json import marshal
    from sampan.cli.verbs.inspect import print_inspected

    contexts = Contexts(session)
    found: list[str] = []
    failures: list[str] = []
    for name in parsed.words or [session.context]:
        try:
            context = contexts.load(name)
        except Exit as error:
            failures.append(error.text)
            continue
        meta_place, tls_place = contexts.places(name)
        whole: Document = {
            "Name": name,
            "Metadata": object_of(context.meta, "Metadata"),
            "Endpoints": object_of(context.meta, "Endpoints"),
            "TLSMaterial": {part: [*sorted(files)] for part, files in context.material.items()},
            "Storage": {"MetadataPath": meta_place, "TLSPath": tls_place},
        }
        found.append(marshal(whole))
    print_inspected(session, parsed.text("format"), found)
    if failures:
        raise Exit(1, "\n".join(failures))
    return 0


# ---- changes


def _create(session: Session, parsed: Parsed) -> int:
    contexts, name = Contexts(session), check_name(parsed.words[0])
    if contexts.exists(name):
        raise Exit(1, f'context "{name}" already exists')
    given, source = _given(parsed), parsed.text("from")
    if given and source:
        raise Exit(1, "cannot use --docker flag when --from is set")
    if not given:
        # A copy of another, its description included: of the one in use where none is named.
        context = _copy(contexts, source or session.context, with_description=True)
    elif "from" in given:
        context = _copy(contexts, given["from"], with_description=False)
    else:
        context = Context({"Metadata": {}, "Endpoints": {}}, {})
        _set(context, *endpoint.described(given))
    if parsed.text("description"):
        _describe(context, parsed.text("description"))
    context.meta = {"Name": name, **{key: value for key, value in context.meta.items() if key != "Name"}}
    contexts.save(context)
    session.say(name)
    session.warn(f'Successfully created context "{name}"')
    return 0


def _copy(contexts: Contexts, name: str, with_description: bool) -> Context:
    context = contexts.load(name)
    if not with_description:
        context.meta["Metadata"] = {}
    elif name == DEFAULT_CONTEXT:
        _describe(context, DESCRIPTION_OF_DEFAULT)
    return context


def _update(session: Session, parsed: Parsed) -> int:
    contexts, name = Contexts(session), check_name(parsed.words[0])
    context = contexts.load(name)
    if parsed.text("description"):
        _describe(context, parsed.text("description"))
    given = _given(parsed)
    if "from" in given:
        source = contexts.load(given["from"])
        _set(context, object_of(object_of(source.meta, "Endpoints"), "docker"), source.material.get("docker", {}))
    elif given:
        _set(context, *endpoint.described(given))
    contexts.save(context)
    session.say(name)
    session.warn(f'Successfully updated context "{name}"')
    return 0


def _given(parsed: Parsed) -> dict[str, str]:
    return {key: value for item in parsed.documents("docker") for key, value in item.items() if isinstance(value, str)}


def _set(context: Context, daemon: Document, files: dict[str, bytes]) -> None:
    context.meta["Endpoints"] = {**object_of(context.meta, "Endpoints"), "docker": daemon}
    context.material.pop("docker", None)
    if files:
        context.material["docker"] = files


def _describe(context: Context, text: str) -> None:
    context.meta["Metadata"] = {**object_of(context.meta, "Metadata"), "Description": text}


def _use(session: Session, parsed: Parsed) -> int:
    contexts, name = Contexts(session), parsed.words[0]
    if name != DEFAULT_CONTEXT:
        contexts.load(check_name(name))
    contexts.select(name)
    session.say(name)
    session.warn(f'Current context is now "{name}"')
    if name != DEFAULT_CONTEXT and session.given.environ.get("DOCKER_HOST"):
        session.warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. "
            f'To use "{name}", either set the global --context flag, or unset DOCKER_HOST environment variable.'
        )
    return 0


def _remove(session: Session, parsed: Parsed) -> int:
    contexts, is_forced, failures = Contexts(session), parsed.flag("force"), []
    current = session.context
    for name in parsed.words:
        if name == DEFAULT_CONTEXT:
            failures.append(f'context "{DEFAULT_CONTEXT}" cannot be removed')
        elif not is_forced and not contexts.exists(name):
            failures.append(f'context "{name}" does not exist')
        elif not is_forced and name == current:
            failures.append(f'context "{name}" is in use, set -f flag to force remove')
        else:
            contexts.remove(name)
            session.say(name)
    if failures:
        raise Exit(1, "\n".join(failures))
    return 0


_DESCRIPTION = Option("description", "string", "What it is")
_DOCKER = Option("docker", "context-endpoint", f"The daemon: KEY=VALUE,… ({', '.join(endpoint.KEYS)})")
LIST = Command(
    "[OPTIONS]",
    "List contexts",
    _list,
    (Option("format", "string", HELP), Option("quiet", "bool", "Show names only", "q")),
    examples=("context ls", "context ls -q"),
)
SHOW = Command("", "Print the name of the context in use", _show, examples=("context show",))
INSPECT = Command(
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    "Show everything about contexts",
    _inspect,
    (Option("format", "string", 'How to print it: "json" or a Go template, e.g. {{.Endpoints.docker.Host}}', "f"),),
    words=(0, None),
    completes="context",
    examples=("context inspect far", "context inspect -f '{{.Endpoints.docker.Host}}' far"),
)
CREATE = Command(
    "[OPTIONS] CONTEXT",
    "Create a context",
    _create,
    (_DESCRIPTION, _DOCKER, Option("from", "string", "Copy another context")),
    words=(1, 1),
    examples=(
        "context create far --docker host=tcp://far.example:2376,ca=ca.pem,cert=cert.pem,key=key.pem",
        "context create copy --from far",
    ),
)
UPDATE = Command(
    "[OPTIONS] CONTEXT", "Change a context", _update, (_DESCRIPTION, _DOCKER),
    words=(1, 1), completes="context", examples=("context update far --docker host=tcp://farther.example:2376",),
)  # fmt: skip
USE = Command(
    "CONTEXT", "Select the context that later commands use", _use,
    words=(1, 1), completes="context", examples=("context use far", "context use default"),
)  # fmt: skip
REMOVE = Command(
    "[OPTIONS] CONTEXT [CONTEXT...]", "Remove contexts", _remove,
    (Option("force", "bool", "Remove the one in use too, and do not mind one that is missing", "f"),),
    words=(1, None), completes="context", examples=("context rm far",),
)  # fmt: skip
