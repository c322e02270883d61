"""Listings as `--format` asks for them: a table, a table of chosen fields, one line of JSON or of a template for each row."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.output.columns import align_text
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.session import Session
    from sampan.client.documents import Json

HELP = 'How to print it: "table", "table TEMPLATE", "json", or a Go template, e.g. \'{{.ID}} {{.Names}}\''


class Headings:
    """Heading texts by field. A template's `.Label "a.b-c"` gets the heading "b c", as Docker has it.

    `parsing` and `executing` are what comes before the fault of a template: Docker's `ps` has words of its own.
    """

    def __init__(
        self,
        texts: dict[str, str],
        parsing: str = "template parsing error",
        executing: str = "template parsing error",
    ) -> None:
        self.texts = texts
        self.parsing = parsing
        self.executing = executing

    def row(self) -> Row:
        """The headings as something a template can be carried out on."""
        return Row("formatter.SubHeaderContext", {name: _constant(text) for name, text in self.texts.items()}, _LABEL)


def _constant(text: str) -> Callable[[], Json]:
    return lambda: text


def _label_heading(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


_LABEL = {"Label": _label_heading}


def print_rows(session: Session, form: str, columns: tuple[str, ...], headings: Headings, rows: list[Row]) -> None:
    """Write `rows` in the form that --format names; `columns` are those of the plain table."""
    for line in row_lines(session, form, columns, headings, rows):
        session.say(line)


def row_lines(session: Session, form: str, columns: tuple[str, ...], headings: Headings, rows: list[Row]) -> list[str]:
    """The lines that `print_rows` writes (a template may put line ends of its own into one)."""
    if form in ("", "table"):
        return _plain_table(session, columns, headings, rows)
    from sampan.cli.output.go_json import marshal

    if form == "json":
        return [marshal(row.document()) for row in rows]
    return _by_template(form, headings, rows)


def _plain_table(session: Session, columns: tuple[str, ...], headings: Headings, rows: list[Row]) -> list[str]:
    from sampan.cli.output.columns import align

    cells = [[headings.texts[name] for name in columns]]
    cells += [[_cell(row, name) for name in columns] for row in rows]
    lines = align(cells)
    if session.colours():
        lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
    return lines


def _cell(row: Row, name: str) -> str:
    value = row.field(name, [])
    return value if isinstance(value, str) else str(value)


def _by_template(form: str, headings: Headings, rows: list[Row]) -> list[str]:
    from sampan.cli.output.go_json import compact
    from sampan.templates.evaluate import Template, TemplateError
    from sampan.templates.functions import HEADING_FUNCTIONS

    is_table = form.startswith("table")
    source = form.removeprefix("table").strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    try:
        template = Template(source, compact)
    except TemplateError as error:
        raise Exit(1, f"{headings.parsing}: {error}") from error
    try:
        lines = [template.render(row) for row in rows]
        if is_table:
            heading = template.render(headings.row(), HEADING_FUNCTIONS)
            return [align_text("\n".join([heading, *lines]))]
    except TemplateError as error:
        raise Exit(1, f"{headings.executing}: {error}") from error
    return lines


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts runs of digits as numbers: v2 before v10."""
    key: list[tuple[int, int, str]] = []
    at = 0
    while at < len(name):
        end = at
        while end < len(name) and name[end].isdigit() == name[at].isdigit():
            end += 1
        part = name[at:end]
        key.append((0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part))
        at = end
    return key


def truncated(identifier: str) -> str:
    """The 12 digits that people use; a digest's algorithm is left away."""
    bare = identifier.partition(":")[2] or identifier
    return bare[:12]


def ellipsis(text: str, width: int) -> str:
    """At most `width` columns, the last one "…" where something was cut."""
    from sampan.cli.output.columns import width_of

    if width_of(text) <= width:
        return text
    out = ""
    used = 0
    for letter in text:
        used += width_of(letter)
        if used > width - 1:
            break
        out += letter
    return out + "…"
