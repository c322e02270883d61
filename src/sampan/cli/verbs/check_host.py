"""`system check-host`: every feature that containers need, tried on this host: yes, or no with why and what to do."""

from __future__ import annotations

import os

from sampan.cli.daemon_start import data_root
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.columns import align
from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.host.finding import Finding

_GREEN, _RED, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


def _check_host(session: Session, parsed: Parsed) -> int:
    """Exit 1 where something is missing without which no container starts."""
    from sampan.host.check import probe_all

    root = parsed.text("data-root") or data_root()
    while not os.path.isdir(
        root
    ):  # the directory does not exist before a daemon's first start: its parent will hold it
        root = os.path.dirname(root)
    try:
        findings = probe_all(root)
    except SampanError as error:
        raise Exit(1, str(error)) from error
    form = parsed.text("format")
    if form == "json":
        _print_json(session, findings)
    elif form not in ("", "table"):
        _print_template(session, form, findings)
    else:
        _print_table(session, findings)
    return 1 if any(finding.needed and not finding.ok for finding in findings) else 0


def _print_table(session: Session, findings: tuple[Finding, ...]) -> None:
    rows = [["AREA", "FEATURE", "HERE", "WHY", "WHAT TO DO"]]
    rows += [
        [finding.area, finding.name, _here(finding), finding.why, "" if finding.ok else finding.hint]
        for finding in findings
    ]
    lines = align(rows)
    if session.colours():
        lines[1:] = [_coloured(line, finding) for line, finding in zip(lines[1:], findings, strict=True)]
    session.say("\n".join(line.rstrip() for line in lines))
    missing = [finding.name for finding in findings if finding.needed and not finding.ok]
    lesser = sum(not finding.ok for finding in findings) - len(missing)
    verdict = f"containers cannot run here: {', '.join(missing)} missing" if missing else "containers can run here"
    session.say(f"\n{verdict}; {lesser} of {len(findings)} features are missing without which they run with less")


def _here(finding: Finding) -> str:
    return "yes" if finding.ok else "NO" if finding.needed else "no"


def _coloured(line: str, finding: Finding) -> str:
    colour = _GREEN if finding.ok else _RED if finding.needed else _YELLOW
    return f"{colour}{line}{_PLAIN}"


def _print_json(session: Session, findings: tuple[Finding, ...]) -> None:
    import msgspec

    session.say(msgspec.json.encode(findings).decode())


def _print_template(session: Session, form: str, findings: tuple[Finding, ...]) -> None:
    from sampan.cli.output.go_json import compact
    from sampan.templates.evaluate import Template, TemplateError

    try:
        template = Template(form, compact)
        for finding in findings:
            session.say(
                template.render(
                    {
                        "Name": finding.name, "Area": finding.area, "OK": finding.ok, "Why": finding.why, "Hint": finding.hint,
                        "Needed": finding.needed,
                    }
                )
            )  # fmt: skip
    except TemplateError as error:
        raise Exit(64, f"template parsing error: {error}") from error


CHECK_HOST = Command(
    "[OPTIONS]",
    "Say for each feature whether this host has it, and why not",
    _check_host,
    (
        Option(
            "data-root", "string", "Where the engine would keep its data (default: as configured)", completes="file"
        ),
        Option(
            "format",
            "string",
            'How to print it: "table", "json", or a Go template over Name, Area, OK, Why, Hint, Needed',
        ),
    ),
    examples=("system check-host", "system check-host --format '{{if not .OK}}{{.Name}}: {{.Hint}}{{end}}'"),
)
