"""`commit`: an image of what a container changed."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.pull import split_reference
from sampan.client.documents import text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _commit(session: Session, parsed: Parsed) -> int:
    repository, tag = _split(parsed.words[1]) if len(parsed.words) > 1 else ("", "")
    query = {
        "container": parsed.words[0],
        "repo": repository or None,
        "tag": tag or None,
        "comment": parsed.text("message") or None,
        "author": parsed.text("author") or None,
        "pause": None if parsed.flag("pause") else "0",
    }
    changes = "&".join(f"changes={quoted(change)}" for change in parsed.many("change"))
    answer = session.engine.fetch_document(f"/commit?{changes}" if changes else "/commit", query, method="POST")
    session.say(text_of(answer, "Id"))
    return 0


def _split(text: str) -> tuple[str, str]:
    name, tag = split_reference(text)
    return (name, tag) if name != text else (text, "")


COMMIT = Command(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of what a container changed",
    _commit,
    (
        Option("author", "string", "Who made it, e.g. 'Hannibal Smith <hannibal@a-team.com>'", "a"),
        Option("change", "list", "Dockerfile instruction to apply, e.g. 'CMD [\"sh\"]'", "c"),
        Option("message", "string", "Note to keep with the image", "m"),
        Option("pause", "bool", "Freeze the container meanwhile", "p", default=True),
    ),
    words=(1, 2),
    completes="container",
    examples=("commit web web:patched", "commit -c 'CMD [\"nginx\"]' -m 'new pages' web"),
)
