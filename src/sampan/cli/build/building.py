"""One build, from the command line to the exit code.

destinations checked ─▶ context opened ─▶ POST /build ─▶ events ─▶ board ─▶ view        ─▶ id, metadata, outputs written, pushed
"""

from __future__ import annotations

import os
import sys

from sampan.cli.build import request
from sampan.cli.build.answer import Answer, failure
from sampan.cli.build.context import ignore_of, open_context
from sampan.cli.build.packing import Directory, Document, compressed, pack
from sampan.cli.build.request import Wanted, is_sampan
from sampan.cli.build.results import Outputs, check_destinations, write_id, write_metadata
from sampan.cli.build.stamp import stamp
from sampan.cli.credentials.header import every_login
from sampan.cli.failures import Exit
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.build.board import View
    from sampan.cli.build.context import Context
    from sampan.cli.build.stamp import Described
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

MODES = ("auto", "plain", "tty", "rawjson", "quiet")
_OWN = ("build-context", "cache-to", "no-cache-filter", "output", "secret", "ssh", "attest", "sbom", "provenance",
        "annotation", "allow", "metadata-file")  # fmt: skip


def build(session: Session, parsed: Parsed) -> int:
    """Build as the command line says. Exit 1 where it fails, after what a reader needs to see why."""
    mode = _mode(session, parsed)
    wanted = Wanted(session, parsed)
    check_destinations(wanted.outputs)
    context = open_context(parsed.words[0], parsed.text("file"), "context/" if wanted.layout else "")
    if not is_sampan(session):
        _refuse_own(parsed)
    target = request.target(session, parsed, wanted, context.file, context.remote)
    headers = [*wanted.headers(), *every_login(session.config)]
    answer = Answer(_view(session, mode), Outputs(wanted.outputs))
    failed = True
    try:
        _converse(session, parsed, answer, target, headers, context, _parts(context, wanted))
        failed = False
    except Exit as end:
        raise failure(end.text, answer.board, context, mode) from end
    except RefusedByDaemon as error:
        raise failure(error.message, answer.board, context, mode) from error
    finally:
        answer.close(failed)
    return _finish(session, parsed, wanted, answer)


def _converse(
    session: Session,
    parsed: Parsed,
    answer: Answer,
    target: str,
    headers: list[tuple[str, str]],
    context: Context,
    parts: list[Described],
) -> None:
    """Ask for the build: of files that the daemon has from the time before, else with all of them."""
    if is_sampan(session) and context.archive is None and (name := stamp(parts)):
        target += f"&context={name}"
        if answer.read_kept(session, target, headers):
            return
    body = context.archive if context.archive is not None else pack(parts)
    answer.read(session, target, compressed(body) if parsed.flag("compress") else body, headers)


def _finish(session: Session, parsed: Parsed, wanted: Wanted, answer: Answer) -> int:
    if parsed.text("iidfile"):
        write_id(parsed.text("iidfile"), answer.image)
    if parsed.text("metadata-file"):
        write_metadata(parsed.text("metadata-file"), answer.metadata)
    if parsed.flag("quiet") and answer.image:
        session.say(answer.image)
    if wanted.push:
        from sampan.cli.pull import split_reference
        from sampan.cli.verbs.push import push

        for reference in parsed.many("tag"):
            push(session, *split_reference(reference), parsed.flag("quiet"))
    return 0


def _mode(session: Session, parsed: Parsed) -> str:
    mode = "quiet" if parsed.flag("quiet") else parsed.text("progress")
    if not parsed.given("progress") and not parsed.flag("quiet"):
        mode = session.given.environ.get("BUILDKIT_PROGRESS") or mode
    if mode not in MODES:
        raise Exit(1, f"ERROR: invalid progress mode {mode}: {', '.join(MODES)}")
    if mode == "tty" and not os.isatty(2):
        raise Exit(1, "ERROR: failed to get console: standard error is no terminal")
    if mode == "auto":
        return "tty" if os.isatty(2) and session.given.environ.get("TERM", "") != "dumb" else "plain"
    return mode


def _view(session: Session, mode: str) -> View:
    if mode == "tty":
        from sampan.cli.build.live import Live

        return Live(2, session.colours(2))
    if mode == "rawjson":
        from sampan.cli.build.rawjson import RawJson

        return RawJson(sys.stderr)
    from sampan.cli.build.plain import Plain, Silent

    return Plain(sys.stderr) if mode == "plain" else Silent()


def _refuse_own(parsed: Parsed) -> None:
    for name in _OWN:
        if parsed.given(name):
            raise Exit(1, f"ERROR: --{name} needs a Sampan daemon: the API of others has no parameter for it")


def _parts(context: Context, wanted: Wanted) -> list[Described]:
    """What the body is packed of."""
    named = [
        Directory(directory, ignore_of(directory), prefix=f"contexts/{name}/")
        for name, directory in wanted.directories.items()
    ]
    secrets = wanted.secrets.values() if wanted.secrets_apart else ()
    hidden = [Document(f"secrets/{number}", value, 0o600) for number, value in enumerate(secrets)]
    return [*context.parts, *named, *hidden]
