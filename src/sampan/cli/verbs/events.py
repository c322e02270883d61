"""`events`: what happens in the daemon, as it happens."""

from __future__ import annotations

import time

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.filters import encode_filters
from sampan.cli.verbs.moments import moment
from sampan.client.documents import number_of, object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json


def _events(session: Session, parsed: Parsed) -> int:
    from sampan.cli.output.progress import messages

    line = _drawing(parsed.text("format"))
    query = {
        "since": moment(parsed.text("since")),
        "until": moment(parsed.text("until")),
        "filters": encode_filters(parsed.many("filter")),
    }
    answer = session.engine.stream("GET", "/events", query)
    try:
        for event in messages(answer.pieces()):
            print(line(event), flush=True)
    finally:
        answer.wire.close()
    return 0


def _drawing(form: str) -> Callable[[Document], str]:
    if not form:
        return plain_line
    from sampan.cli.output.go_json import compact

    if form == "json":
        return compact
    from sampan.templates.evaluate import Template, TemplateError
    from sampan.templates.values import Row

    try:
        template = Template(form, compact)
    except TemplateError as error:
        raise Exit(64, f"Error parsing format: {error}") from error

    def by_template(event: Document) -> str:
        try:
            return template.render(Row("*events.Message", _fields(event), document=event))
        except TemplateError as error:
            raise Exit(64, f"Error parsing format: {error}") from error

    return by_template


def _fields(event: Document) -> dict[str, Callable[[], Json]]:
    """An event by the names of Go's fields: its older members have others in JSON."""
    actor: Document = {"ID": "", "Attributes": {}, **object_of(event, "Actor")}
    return {
        "ID": lambda: text_of(event, "id"),
        "Status": lambda: text_of(event, "status"),
        "From": lambda: text_of(event, "from"),
        "Type": lambda: text_of(event, "Type"),
        "Action": lambda: text_of(event, "Action"),
        "Actor": lambda: actor,
        "Scope": lambda: text_of(event, "scope"),
        "Time": lambda: number_of(event, "time"),
        "TimeNano": lambda: number_of(event, "timeNano"),
    }


def plain_line(event: Document) -> str:
    """`TIME TYPE ACTION ID (key=value, …)`, the time in local RFC 3339 with nine decimals."""
    nanoseconds = number_of(event, "timeNano")
    seconds = nanoseconds // 10**9 if nanoseconds else number_of(event, "time")
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{nanoseconds % 10**9:09}{zone[:3]}:{zone[3:]}"
    if zone == "+0000":
        stamp = stamp[:-6] + "Z"
    actor = object_of(event, "Actor")
    words = [stamp, text_of(event, "Type"), text_of(event, "Action"), text_of(actor, "ID")]
    attributes = object_of(actor, "Attributes")
    if attributes:
        words.append("(" + ", ".join(f"{key}={text_of(attributes, key)}" for key in sorted(attributes)) + ")")
    return " ".join(words)


EVENTS = Command(
    "[OPTIONS]",
    "Follow what happens in the daemon",
    _events,
    (
        Option("filter", "filter", "Show only what fits (type=…, event=…, container=…)", "f"),
        Option("format", "string", 'How to print it: "json" or a Go template'),
        Option("since", "string", "From this moment on, or as long ago (10m)"),
        Option("until", "string", "Up to this moment, then end"),
    ),
    examples=("events", "events --since 10m --until 0s", "events -f event=die --format '{{.Actor.ID}}'"),
)
