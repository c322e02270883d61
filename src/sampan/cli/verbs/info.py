"""`info`: what the daemon and its host are and can do."""

from __future__ import annotations

from sampan.cli import plugins
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.units import binary_size
from sampan.cli.verbs.version import client_document
from sampan.client.documents import flag_of, list_of, number_of, object_of, text_of, texts_of
from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document


def _info(session: Session, parsed: Parsed) -> int:
    failure: SampanError | None = None
    info: Document = {}
    agreed = ""
    try:
        info = session.engine.fetch_document("/info")
        agreed = session.engine.version
    except SampanError as error:
        failure = error
    client = client_document(session, agreed)
    form = parsed.text("format")
    if form:
        _by_template(session, form, {**info, "ClientInfo": _client_info(client, plugins.every(session))})
    else:
        lines = ["Client: Sampan", f" Version:    {text_of(client, 'Version')}", f" Context:    {text_of(client, 'Context')}",
                 " Debug Mode: false", *_client_plugin_lines(session), "", "Server:"]  # fmt: skip
        session.say("\n".join([*lines, *(_server_lines(info) if info else [])]))
        for warning in texts_of(info, "Warnings"):
            session.warn(warning)
    if failure is not None:
        raise Exit(1, str(failure))
    return 0


def _client_plugin_lines(session: Session) -> list[str]:
    found = plugins.every(session)
    for plugin in found:
        if plugin.fault:
            session.warn(f'WARNING: Plugin "{plugin.path}" is not valid: {plugin.fault}')
    lines = [" Plugins:"] if any(not plugin.fault for plugin in found) else []
    for plugin in found:
        if not plugin.fault:
            lines.append(f"  {plugin.name}: {plugin.described} ({text_of(plugin.metadata, 'Vendor')})")
            if version := text_of(plugin.metadata, "Version"):
                lines.append(f"    Version:  {version}")
            lines.append(f"    Path:     {plugin.path}")
    return lines


def _client_info(client: Document, found: list[plugins.Plugin]) -> Document:
    keys = ("Version", "DefaultAPIVersion", "GitCommit", "GoVersion", "Os", "Arch", "BuildTime", "Context")
    return {
        "Debug": False,
        **{key: client[key] for key in keys},
        "Plugins": [each.document() for each in found],
        "Warnings": None,
    }


def _by_template(session: Session, form: str, info: Document) -> None:
    from sampan.cli.output.go_json import marshal

    if form == "json":
        session.say(marshal(info))
        return
    from sampan.cli.output.go_json import compact
    from sampan.templates.evaluate import Template, TemplateError

    try:
        session.say(Template(form, compact).render(info))
    except TemplateError as error:
        raise Exit(64, f"template parsing error: {error}") from error


def _server_lines(info: Document) -> list[str]:
    lines = [
        f" Containers: {number_of(info, 'Containers')}",
        f"  Running: {number_of(info, 'ContainersRunning')}",
        f"  Paused: {number_of(info, 'ContainersPaused')}",
        f"  Stopped: {number_of(info, 'ContainersStopped')}",
        f" Images: {number_of(info, 'Images')}",
    ]
    _add(lines, info, ("Server Version", "ServerVersion"), ("Storage Driver", "Driver"))
    lines += [f"  {key}: {value}" for key, value in _pairs(info, "DriverStatus")]
    _add(
        lines,
        info,
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    )
    lines += _plugin_lines(object_of(info, "Plugins"))
    lines.append(f" Swarm: {text_of(object_of(info, 'Swarm'), 'LocalNodeState')}")
    lines.append(f" Runtimes: {' '.join(sorted(object_of(info, 'Runtimes')))}")
    _add(lines, info, ("Default Runtime", "DefaultRuntime"), ("Init Binary", "InitBinary"))
    for heading, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        if text_of(object_of(info, key), "ID"):
            lines.append(f" {heading} version: {text_of(object_of(info, key), 'ID')}")
    lines += _security_lines(texts_of(info, "SecurityOptions"))
    _add(
        lines, info, ("Kernel Version", "KernelVersion"), ("Operating System", "OperatingSystem"), ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )  # fmt: skip
    lines.append(f" CPUs: {number_of(info, 'NCPU')}")
    lines.append(f" Total Memory: {binary_size(number_of(info, 'MemTotal'))}")
    _add(lines, info, ("Name", "Name"), ("ID", "ID"), ("Docker Root Dir", "DockerRootDir"))
    lines.append(f" Debug Mode: {_truth(info, 'Debug')}")
    _add(lines, info, ("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))
    lines += [" Labels:", *(f"  {label}" for label in texts_of(info, "Labels"))] if texts_of(info, "Labels") else []
    lines.append(f" Experimental: {_truth(info, 'ExperimentalBuild')}")
    registries = texts_of(object_of(info, "RegistryConfig"), "InsecureRegistryCIDRs")
    lines += [" Insecure Registries:", *(f"  {registry}" for registry in registries)] if registries else []
    lines.append(f" Live Restore Enabled: {_truth(info, 'LiveRestoreEnabled')}")
    _add(lines, info, ("Product License", "ProductLicense"))
    return [*lines, ""]


def _add(lines: list[str], info: Document, *rows: tuple[str, str]) -> None:
    lines += [f" {heading}: {text_of(info, key)}" for heading, key in rows if text_of(info, key)]


def _truth(info: Document, key: str) -> str:
    return "true" if flag_of(info, key) else "false"


def _pairs(info: Document, key: str) -> list[tuple[str, str]]:
    return [(str(pair[0]), str(pair[1])) for pair in list_of(info, key) if isinstance(pair, list) and len(pair) == 2]


def _plugin_lines(plugins: Document) -> list[str]:
    kinds = [key for key in ("Volume", "Network", "Log", "Authorization") if texts_of(plugins, key)]
    return [" Plugins:", *(f"  {key}: {' '.join(texts_of(plugins, key))}" for key in kinds)]


def _security_lines(options: list[str]) -> list[str]:
    if not options:
        return []
    lines = [" Security Options:"]
    for option in options:
        pairs = [field.partition("=")[::2] for field in option.split(",")]
        names = [value for key, value in pairs if key == "name"]
        lines += [f"  {name}" for name in names]
        lines += [f"   {key[:1].upper() + key[1:]}: {value}" for key, value in pairs if key != "name"]
    return lines


INFO = Command(
    "[OPTIONS]",
    "Show what the daemon and its host can do",
    _info,
    (Option("format", "string", 'How to print it: "json" or a Go template', "f"),),
    examples=("info", "info --format '{{.Driver}} {{.CgroupVersion}}'"),
)
