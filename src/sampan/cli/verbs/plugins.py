"""`plugin ls`, `enable`, `disable`, `set`, `push`, `rm`: managed plugins that are here."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, ellipsis, natural, print_rows, truncated
from sampan.cli.verbs.each import for_each
from sampan.cli.verbs.filters import encode_filters
from sampan.cli.verbs.pull import TRUST
from sampan.client.documents import object_of, text_of
from sampan.client.engine import quoted
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "ID": "ID", "Name": "NAME", "Description": "DESCRIPTION", "Enabled": "ENABLED",
        "PluginReference": "PLUGINREFERENCE",
    }
)  # fmt: skip
_DESCRIPTION = 45
"""Letters of a description in a table."""


def path_of(name: str) -> str:
    """Of one plugin's routes: a name has slashes and a tag."""
    return f"/plugins/{quoted(name, '/:@')}"


def _list(session: Session, parsed: Parsed) -> int:
    found = session.engine.fetch_list("/plugins", {"filters": encode_filters(parsed.many("filter"))})
    short = not parsed.flag("no-trunc")
    form = parsed.text("format") or text_of(session.config, "pluginsFormat")
    if parsed.flag("quiet"):
        form = "{{.ID}}"
    rows = [_row(item, short) for item in sorted(found, key=lambda item: natural(text_of(item, "Name")))]
    print_rows(session, form, ("ID", "Name", "Description", "Enabled"), HEADINGS, rows)
    return 0


def _row(item: Document, short: bool) -> Row:
    def description() -> str:
        text = text_of(object_of(item, "Config"), "Description").replace("\n", " ").replace("\r", " ")
        return ellipsis(text, _DESCRIPTION) if short else text

    fields = {
        "ID": lambda: truncated(text_of(item, "Id")) if short else text_of(item, "Id"),
        "Name": lambda: text_of(item, "Name"),
        "Description": description,
        "Enabled": lambda: "true" if item.get("Enabled") is True else "false",
        "PluginReference": lambda: text_of(item, "PluginReference"),
    }
    return Row("*plugin.pluginContext", fields, {})


def _enable(session: Session, parsed: Parsed) -> int:
    name = parsed.words[0]
    session.engine.order("POST", f"{path_of(name)}/enable", {"timeout": str(parsed.number("timeout"))})
    session.say(name)
    return 0


def _disable(session: Session, parsed: Parsed) -> int:
    name = parsed.words[0]
    session.engine.order("POST", f"{path_of(name)}/disable", {"force": "1" if parsed.flag("force") else None})
    session.say(name)
    return 0


def _set(session: Session, parsed: Parsed) -> int:
    session.engine.order("POST", f"{path_of(parsed.words[0])}/set", body=[*parsed.words[1:]])
    return 0


def _remove(session: Session, parsed: Parsed) -> int:
    def act(name: str) -> str:
        session.engine.order("DELETE", path_of(name), {"force": "1" if parsed.flag("force") else None})
        return name

    return for_each(session, parsed.words, act)


def _push(session: Session, parsed: Parsed) -> int:
    from sampan.cli.credentials.header import headers_for
    from sampan.cli.pull import show
    from sampan.cli.verbs.push import NOBODY

    name = parsed.words[0]
    headers = headers_for(session.config, name) or [NOBODY]
    show(session.engine.stream("POST", f"{path_of(name)}/push", None, headers), quiet=False, stream=1)
    return 0


LIST = Command(
    "[OPTIONS]",
    "List managed plugins",
    _list,
    (
        Option("filter", "filter", "Show only what fits (enabled=true, capability=volumedriver)", "f"),
        Option("format", "string", HELP),
        Option("no-trunc", "bool", "Do not shorten ids and descriptions"),
        Option("quiet", "bool", "Show ids only", "q"),
    ),
    examples=("plugin ls", "plugin ls --filter enabled=true --format '{{.Name}}'"),
)
ENABLE = Command(
    "[OPTIONS] PLUGIN", "Start a plugin", _enable,
    (Option("timeout", "int", "Seconds in which it has to answer", default=30),),
    words=(1, 1), examples=("plugin enable vieux/sshfs",),
)  # fmt: skip
DISABLE = Command(
    "[OPTIONS] PLUGIN", "Stop a plugin", _disable,
    (Option("force", "bool", "Also one that is in use", "f"),),
    words=(1, 1), examples=("plugin disable vieux/sshfs",),
)  # fmt: skip
SET = Command(
    "PLUGIN KEY=VALUE [KEY=VALUE...]", "Change settings of a plugin that is disabled", _set, (),
    words=(2, None), examples=("plugin set vieux/sshfs DEBUG=1", "plugin set vieux/sshfs mymount.source=/data"),
)  # fmt: skip
REMOVE = Command(
    "[OPTIONS] PLUGIN [PLUGIN...]", "Remove plugins", _remove,
    (Option("force", "bool", "Also one that is enabled", "f"),),
    words=(1, None), examples=("plugin rm vieux/sshfs",),
)  # fmt: skip
PUSH = Command(
    "[OPTIONS] PLUGIN[:TAG]", "Send a plugin to a registry", _push, (TRUST,),
    words=(1, 1), examples=("plugin push registry.example:5000/team/plugin:1",),
)  # fmt: skip
