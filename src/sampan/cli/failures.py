"""How a command ends other than well."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.failures import RefusedByDaemon

PROGRAM = "sampan"
ENGINE_FAILED = 125
CANNOT_INVOKE = 126
NOT_FOUND = 127


class Exit(Exception):
    """End the process with `code`, after `text` (when there is any) on stderr."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class UsageError(Exception):
    """The command line is wrong. `path` is the command as typed ("container ls"), `usage` its synopsis."""

    def __init__(
        self, message: str, path: str = "", usage: str = "", code: int = ENGINE_FAILED, see: str = "Run"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.usage = usage
        self.code = code
        self.see = see

    def __str__(self) -> str:
        typed = f"{PROGRAM} {self.path}".rstrip()
        synopsis = f"\n\nUsage:  {typed} {self.usage}".rstrip() if self.path or self.usage else ""
        return f"{self.message}{synopsis}\n\n{self.see} '{typed} --help' for more information"


def with_help(message: str, path: str) -> str:
    """`message` in the form of run's and create's failures."""
    return f"{PROGRAM}: {message}\n\nRun '{PROGRAM} {path} --help' for more information"


def start_failure_code(refusal: RefusedByDaemon) -> int:
    """127 when the program was not found, 126 when it could not be invoked, else 125: read from the words, as Docker does."""
    words = refusal.message
    if any(hint in words for hint in ("executable file not found", "no such file or directory", "system cannot find")):
        return NOT_FOUND
    if "permission denied" in words or "is a directory" in words:
        return CANNOT_INVOKE
    return ENGINE_FAILED
