"""`version`: who speaks here, client and daemon."""

from __future__ import annotations

import os
import sys

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client.documents import object_of, objects_of, text_of
from sampan.client.engine import NEWEST
from sampan.errors import SampanError
from sampan.version import VERSION as RELEASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_API = ".".join(map(str, NEWEST))
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def one_line() -> str:
    """What --version prints."""
    return f"Sampan version {RELEASE}"


def client_document(session: Session, version: str) -> Document:
    """The client's half, with the fields Docker's has."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    machine = os.uname().machine
    return {
        "Platform": {"Name": "Sampan"},
        "Version": RELEASE,
        "ApiVersion": version or _API,
        "DefaultAPIVersion": _API,
        "GitCommit": "",
        "GoVersion": python,
        "Os": "linux",
        "Arch": _MACHINES.get(machine, machine),
        "BuildTime": "",
        "Context": session.context,
    }


def _version(session: Session, parsed: Parsed) -> int:
    failure: SampanError | None = None
    server: Document | None = None
    agreed = ""
    try:
        engine = session.engine
        agreed = engine.version
        server = engine.fetch_document("/version")
    except SampanError as error:
        failure = error
    client = client_document(session, agreed)
    form = parsed.text("format")
    if form:
        _by_template(session, form, client, server)
    else:
        session.say("\n".join(_client_lines(client)))
        if server is not None:
            session.say("\n" + "\n".join(_server_lines(server)))
    if failure is not None:
        raise Exit(1, str(failure))
    return 0


def _by_template(session: Session, form: str, client: Document, server: Document | None) -> None:
    whole: Document = {"Client": client, "Server": server}
    if form == "json":
        from sampan.cli.output.go_json import marshal

        session.say(marshal(whole))
        return
    from sampan.cli.output.go_json import compact
    from sampan.templates.evaluate import Template, TemplateError

    try:
        session.say(Template(form, compact).render({**whole, "ServerOK": server is not None}))
    except TemplateError as error:
        raise Exit(64, f"template parsing error: {error}") from error


def _client_lines(client: Document) -> list[str]:
    api = text_of(client, "ApiVersion")
    default = text_of(client, "DefaultAPIVersion")
    shown = api if api == default else f"{api} (downgraded from {default})"
    return [
        "Client: Sampan",
        f" Version:           {text_of(client, 'Version')}",
        f" API version:       {shown}",
        f" Python version:    {text_of(client, 'GoVersion').removeprefix('python')}",
        f" OS/Arch:           {text_of(client, 'Os')}/{text_of(client, 'Arch')}",
        f" Context:           {text_of(client, 'Context')}",
    ]


_ENGINE_LINES = (
    ("Version", "Version"), ("API version", "ApiVersion"), ("Go version", "GoVersion"), ("Git commit", "GitCommit"),
    ("Built", "BuildTime"), ("OS/Arch", "Arch"), ("Experimental", "Experimental"),
)  # fmt: skip


def _server_lines(server: Document) -> list[str]:
    platform = text_of(object_of(server, "Platform"), "Name")
    lines = [f"Server: {platform}".rstrip()]
    for component in objects_of(server, "Components") or [_engine_of(server)]:
        lines.append(f" {text_of(component, 'Name')}:")
        details = object_of(component, "Details")
        if text_of(component, "Name") != "Engine":
            rows = [
                ("Version", text_of(component, "Version")),
                *((key, text_of(details, key)) for key in sorted(details)),
            ]
            lines += [f"  {key + ':':<17} {value}" for key, value in rows]
            continue
        for heading, key in _ENGINE_LINES:
            value = _engine_value(component, details, key)
            if value:
                lines.append(f"  {heading + ':':<17} {value}")
    return lines


def _engine_of(server: Document) -> Document:
    details = {key: server[key] for key in server if isinstance(server[key], (str, bool))}
    return {"Name": "Engine", "Version": text_of(server, "Version"), "Details": details}


def _engine_value(component: Document, details: Document, key: str) -> str:
    if key == "Version":
        return text_of(component, "Version")
    value = text_of(details, key)
    if key == "ApiVersion":
        return f"{value} (minimum version {text_of(details, 'MinAPIVersion')})"
    if key == "Arch":
        return f"{text_of(details, 'Os')}/{value}"
    return value


VERSION = Command(
    "[OPTIONS]",
    "Show the versions of client and daemon",
    _version,
    (Option("format", "string", 'How to print it: "json" or a Go template', "f"),),
    examples=("version", "version --format '{{.Server.Version}}'"),
)
