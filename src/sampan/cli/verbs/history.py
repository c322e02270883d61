"""`history`: the steps an image was made by."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, ellipsis, print_rows, truncated
from sampan.cli.output.units import ago, decimal_size, iso_time
from sampan.client.documents import number_of, text_of
from sampan.client.engine import quoted
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY", "Size": "SIZE",
        "Comment": "COMMENT",
    }
)  # fmt: skip


def _history(session: Session, parsed: Parsed) -> int:
    found = session.engine.fetch_list(f"/images/{quoted(parsed.words[0], '/:@')}/history")
    short, human = not parsed.flag("no-trunc"), parsed.flag("human")
    form = "{{.ID}}" if parsed.flag("quiet") else parsed.text("format")
    created = "CreatedSince" if human else "CreatedAt"
    rows = [_row(item, short, human) for item in found]
    print_rows(session, form, ("ID", created, "CreatedBy", "Size", "Comment"), HEADINGS, rows)
    return 0


def _row(item: Document, short: bool, human: bool) -> Row:
    identifier, moment, size = text_of(item, "Id"), number_of(item, "Created"), number_of(item, "Size")
    by = text_of(item, "CreatedBy").replace("\t", " ")
    fields = {
        "ID": lambda: truncated(identifier) if short else identifier,
        "CreatedAt": lambda: iso_time(moment),
        "CreatedSince": lambda: _since(moment, human),
        "CreatedBy": lambda: ellipsis(by, 45) if short else by,
        "Size": lambda: decimal_size(size, 3) if human else str(size),
        "Comment": lambda: text_of(item, "Comment"),
    }
    return Row("*history.historyContext", fields)


def _since(moment: int, human: bool) -> str:
    if moment <= 0:
        return "N/A"  # an image that is made the same each time says it is from 1970
    return ago(moment) if human else iso_time(moment)


HISTORY = Command(
    "[OPTIONS] IMAGE",
    "Show the steps that an image was made by",
    _history,
    (
        Option("format", "string", HELP),
        Option("human", "bool", "Sizes and ages for people, not numbers", "H", default=True),
        Option("no-trunc", "bool", "Do not shorten"),
        Option("platform", "string", "Platform of the image", refused="images have one platform here"),
        Option("quiet", "bool", "Show ids only", "q"),
    ),
    words=(1, 1),
    completes="image",
    examples=("history web", "history --no-trunc --format '{{.CreatedBy}}' web"),
)
