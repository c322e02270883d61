"""`search`: what Docker Hub, or another registry with its old search, has for a word."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, ellipsis, print_rows
from sampan.cli.verbs.filters import encode_filters
from sampan.client import documents
from sampan.client.documents import flag_of, number_of, text_of
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "StarCount": "STARS",
        "IsOfficial": "OFFICIAL",
        "IsAutomated": "AUTOMATED",
    }
)
_WIDTH = 45


def _search(session: Session, parsed: Parsed) -> int:
    from sampan.cli.credentials.header import headers_for

    term = parsed.words[0]
    query: dict[str, str | None] = {
        "term": term,
        "limit": str(parsed.number("limit")) if parsed.given("limit") else None,
        "filters": encode_filters(parsed.many("filter")),
    }
    answer = session.engine.stream("GET", "/images/search", query, headers_for(session.config, term))
    try:
        found = documents.parse(answer.read())
    finally:
        answer.wire.close()
    rows = (
        [_row(item, parsed.flag("no-trunc")) for item in found if isinstance(item, dict)]
        if isinstance(found, list)
        else []
    )
    print_rows(session, parsed.text("format"), ("Name", "Description", "StarCount", "IsOfficial"), HEADINGS, rows)
    return 0


def _row(item: Document, whole: bool) -> Row:
    name, stars, official = text_of(item, "name"), str(number_of(item, "star_count")), flag_of(item, "is_official")
    text = text_of(item, "description").replace("\n", " ").replace("\r", " ")
    shown = text if whole else ellipsis(text, _WIDTH)
    fields = {
        "Name": lambda: name,
        "Description": lambda: shown,
        "StarCount": lambda: stars,
        "IsOfficial": lambda: "[OK]" if official else "",
        "IsAutomated": lambda: "[OK]" if flag_of(item, "is_automated") else "",
    }
    in_json: Document = {
        "Description": shown, "IsOfficial": "true" if official else "false", "Name": name, "StarCount": stars,
    }  # fmt: skip
    return Row("*search.searchContext", fields, document=in_json)


SEARCH = Command(
    "[OPTIONS] TERM",
    "Find images on Docker Hub, or on a registry that is named before a slash",
    _search,
    (
        Option("filter", "filter", "Only what matches: is-official=true, stars=3", "f"),
        Option("format", "string", HELP),
        Option("limit", "int", "At most so many results (1 to 100)"),
        Option("no-trunc", "bool", "Do not shorten"),
    ),
    words=(1, 1),
    examples=("search busybox", "search --filter stars=100 --limit 5 postgres"),
)
