"""`prune --plan` and `--carry-out`: what would go, with sizes, and then exactly that."""

from __future__ import annotations

from sampan.cli.options import Option
from sampan.cli.output.units import decimal_size
from sampan.client.documents import number_of, objects_of, text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

OPTIONS = (
    Option("carry-out", "string", "Remove what a plan says, and nothing else"),
    Option("plan", "bool", "Only say what would go, and how much room that gives"),
)
_KINDS = {"build-cache": "build cache"}


def filters_of(given: list[str]) -> dict[str, Json]:
    """`KEY=VALUE` as the request has it: the values of each key."""
    found: dict[str, list[Json]] = {}
    for text in given:
        key, _, value = text.partition("=")
        found.setdefault(key, []).append(value)
    return {key: list(values) for key, values in found.items()}


def planned(session: Session, parsed: Parsed, request: Document) -> bool:
    """Whether a plan was asked for, and made or carried out; else it is an ordinary prune's turn."""
    if identity := parsed.text("carry-out"):
        _carry_out(session, identity)
        return True
    if parsed.flag("plan"):
        _show(session, session.engine.fetch_document("/sampan/prune-plan", method="POST", body=request))
        return True
    return False


def _show(session: Session, plan: Document) -> None:
    items = objects_of(plan, "Items")
    if not items:
        session.say("Nothing would go.")
        return
    session.say("Would go:")
    for item in items:
        session.say(_line(item))
    identity = text_of(plan, "Id")
    session.say(f"\nWould give back: {decimal_size(number_of(plan, 'Size'))}")
    session.say(f"To remove exactly that, within an hour: sampan system prune --carry-out {identity}")


def _line(item: Document) -> str:
    kind, identity = text_of(item, "Kind"), text_of(item, "Id")
    short = identity.removeprefix("sha256:")[:12] if len(identity) >= 64 else identity
    names = ", ".join(name for name in texts_of(item, "Names") if name != identity)
    return f"  {_KINDS.get(kind, kind):11}  {short:12}  {decimal_size(number_of(item, 'Size')):>8}  {names}".rstrip()


def _carry_out(session: Session, identity: str) -> None:
    answer = session.engine.fetch_document("/sampan/prune", {"plan": identity}, method="POST")
    for heading, member in (("Removed:", "Removed"), ("Kept, because it is in use or was changed since:", "Kept")):
        if items := objects_of(answer, member):
            session.say("\n".join([heading, *map(_line, items), ""]))
    session.say(f"Total reclaimed space: {decimal_size(number_of(answer, 'SpaceReclaimed'))}")
