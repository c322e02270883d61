"""The answer to a build: its lines, one after the other, onto the board, into outputs; and what is said when it failed."""

from __future__ import annotations

import time

from sampan.cli.build.board import STREAM, Board
from sampan.cli.failures import Exit
from sampan.cli.output.excerpt import excerpt
from sampan.cli.output.progress import Progress, messages
from sampan.client.documents import object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampan.cli.build.board import View
    from sampan.cli.build.context import Context
    from sampan.cli.build.results import Outputs
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_NOT_KEPT = "No such build context: "
_SENDING = "[internal] transferring context"
_ON_LINE = "dockerfile parse error on line "
_TELL_EVERY = 0.1


class Answer:
    """What the daemon says. `image` is the id of what was made, "" where it is none of the outputs."""

    def __init__(self, view: View, outputs: Outputs) -> None:
        self.board = Board(view)
        self.image = ""
        self.metadata: Document = {}
        self._view = view
        self._outputs = outputs
        self._old_style = Progress(1)
        self._warnings: list[Document] = []

    def read_kept(self, session: Session, target: str, headers: list[tuple[str, str]]) -> bool:
        """The same without a body, of files that the daemon may have; whether it had. As `read` otherwise."""
        from sampan.client.failures import RefusedByDaemon

        try:
            self.read(session, f"{target}&kept=1", (), headers)
        except RefusedByDaemon as error:
            if error.status == 404 and error.message.startswith(_NOT_KEPT):
                return False
            raise
        return True

    def read(self, session: Session, target: str, body: Iterable[bytes], headers: list[tuple[str, str]]) -> None:
        """Send the request and follow its answer to the end. Exit 1 with the daemon's words, RefusedByDaemon."""
        answer = session.engine.upload(target, None, self._counted(body), headers)
        try:
            for message in messages(answer.pieces()):
                self._take(message)
        finally:
            answer.wire.close()
        if self._outputs.missing:
            raise Exit(1, f"the daemon sent nothing for {', '.join(self._outputs.missing)}")

    def close(self, failed: bool) -> None:
        """Nothing more comes: outputs that are not whole go, what is shown is shown to its end."""
        self._outputs.close()
        self._view.close(failed)

    def _take(self, message: Document) -> None:
        error = text_of(object_of(message, "errorDetail"), "message") or text_of(message, "error")
        if error:
            raise Exit(1, error)
        about = object_of(message, "aux")
        if not about:
            self._old_style.show(message)
        elif text_of(message, "id") != STREAM:
            self.image = text_of(about, "ID") or self.image
        elif text_of(about, "type") == "output":
            self._outputs.take(about)
        elif text_of(about, "type") == "result":
            self.metadata = object_of(about, "metadata")
        else:
            self.board.take(about)

    def _counted(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; how many went is on the board."""
        row = None
        size, told = 0, 0.0
        for piece in body:
            row = row or self.board.begin(_SENDING)
            size += len(piece)
            now = time.time()
            if now - told > _TELL_EVERY:
                told = now
                self.board.advance(row, "transferring context:", size, 0)
            yield piece
        if row is not None:
            self.board.advance(row, "transferring context:", size, 0, time.time() - row.started)
            self.board.end(row)


def failure(message: str, board: Board, context: Context, mode: str) -> Exit:
    """The end of a failed build: the last words of what failed, the lines of the Dockerfile, the reason."""
    said = []
    row = board.failed
    if row is not None and row.tail and mode != "rawjson":
        said += ["------", f" > {row.name}:", *(f"{at:.3f} {text}" for at, text in row.tail[-20:]), "------"]
    first, last = row.lines if row is not None else _line_of(message)
    if first and context.text and first <= context.text.count("\n") + 1:
        said.append(excerpt(context.shown, context.text, first, max(first, last), 1))
    return Exit(1, "\n".join([*said, f"ERROR: failed to solve: {message}"]))


def _line_of(message: str) -> tuple[int, int]:
    """The line that the daemon's words name."""
    _, found, rest = message.partition(_ON_LINE)
    digits = rest.partition(":")[0]
    number = int(digits) if found and digits.isascii() and digits.isdigit() and len(digits) < 8 else 0
    return number, number
