"""`network inspect`: a picture at a terminal, Docker's JSON everywhere else; with --rules what the kernel's rules say."""

from __future__ import annotations

import os
import sys

from sampan.cli.failures import Exit, UsageError
from sampan.cli.options import Command, Option
from sampan.cli.verbs import inspect
from sampan.client.documents import object_of, text_of, texts_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

    Show = Callable[[Session, str], tuple[str, bool]]
    """Text for a network, and whether all is well with it."""


def _inspect(session: Session, parsed: Parsed) -> int:
    if parsed.flag("rules"):
        if parsed.text("format"):
            raise UsageError("--rules and --format cannot be used together", "network inspect", parsed.command.usage)
        return _each(session, parsed, _rules)
    if parsed.text("format") or parsed.flag("verbose") or not os.isatty(1):
        return inspect.inspect_network(session, parsed)
    return _each(session, parsed, _picture)


def _each(session: Session, parsed: Parsed, show: Show) -> int:
    failures: list[str] = []
    code = 0
    for number, name in enumerate(parsed.words):
        try:
            text, fine = show(session, name)
        except RefusedByDaemon as refusal:
            failures.append(str(refusal))
            continue
        session.say(("\n" if number else "") + text.rstrip("\n"))
        code = code if fine else 1
    if failures:
        raise Exit(1, "\n".join(failures))
    return code


def _rules(session: Session, name: str) -> tuple[str, bool]:
    found = session.engine.fetch_document(f"/networks/{quoted(name)}/sampan/rules")
    return text_of(found, "Text"), not texts_of(found, "Drift")


def _picture(session: Session, name: str) -> tuple[str, bool]:
    from sampan.cli.output.network_picture import picture

    network = session.engine.fetch_document(f"/networks/{quoted(name)}")
    containers: dict[str, Document] = {}
    for one in object_of(network, "Containers"):
        try:
            containers[one] = session.engine.fetch_document(f"/containers/{quoted(one)}/json")
        except RefusedByDaemon as refusal:
            if refusal.status != 404:
                raise
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    return "\n".join(picture(network, containers, plain=plain)), True


INSPECT = Command(
    "[OPTIONS] NETWORK [NETWORK...]",
    "Show everything about networks: at a terminal as a picture, else as JSON",
    _inspect,
    (
        Option("format", "string", 'How to print it: "json" or a Go template, e.g. {{.Id}}', "f"),
        Option("rules", "bool", "Show the nftables rules that concern it; exit code 1 where they differ from the plan"),
        Option("verbose", "bool", "Add what helps to find faults", "v"),
    ),
    words=(1, None),
    completes="network",
    examples=("network inspect bridge", "network inspect bridge | jq .", "network inspect --rules back"),
)
