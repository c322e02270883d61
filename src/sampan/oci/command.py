"""The command line of `sampan-oci`: the specification's operations and runc's, with runc's options, so that callers need not know.

    sampan-oci [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] COMMAND …

A failure is one line on standard error, and one in the log file that the caller named; containerd and conmon read the latter.
"""

from __future__ import annotations

import gc
import os
import sys

from sampan.errors import InvalidParameter, SampanError
from sampan.oci.options import Parsed, parse
from sampan.oci.words import COMMANDS, GLOBAL, SPECIFICATION, usage
from sampan.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_ENTERING = ("create", "exec", "run")
"""What forks into a container, and so is executed from a sealed copy of the interpreter (CVE-2019-5736)."""
_SEALED = "SAMPAN_OCI_SEALED"


def main() -> NoReturn:
    """Run this process's command line and end it with the exit code."""
    # A call is over, or waits, before a collection would have paid.
    gc.disable()
    _open_streams()
    os.umask(0o022)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """The exit code: the program's own for `run` and `exec` in the foreground, else 0 or 1."""
    try:
        first = parse(GLOBAL, arguments, stop=True)
    except InvalidParameter as error:
        print(f"sampan-oci: {error}\nTry: sampan-oci --help", file=sys.stderr)
        return 1
    if first.flag("version"):
        print(f"sampan-oci version {VERSION}\nspec: {SPECIFICATION}")
        return 0
    if first.flag("help") or not first.rest or first.rest[0] == "help":
        print(usage())
        return 0
    name, *rest = first.rest
    try:
        if name not in COMMANDS:
            raise InvalidParameter(f"no such command: {name[:40]!r}")
        given = parse(COMMANDS[name].options, rest, stop=name in ("exec", "ps"))
        if given.flag("help"):
            print(usage(name))
            return 0
        if name in _ENTERING:
            # Before the rest is loaded: it is loaded once.
            _seal()
        from sampan.oci.operations import OPERATIONS

        return OPERATIONS[name](first, given)
    except (SampanError, OSError) as error:
        _tell(first, str(error))
        return 255 if name == "exec" else 1


def _seal() -> None:
    """Execute this command once more from a copy that nobody in a container can write to."""
    if os.environ.pop(_SEALED, ""):
        return
    from sampan.runtime.spawn import sealed_interpreter

    copy, path = sealed_interpreter()
    program = "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); from sampan.oci.command import main; main()"
    words = [path, "-I", "-S", "-B", "-c", program, "\n".join(sys.path), *sys.argv[1:]]
    os.execve(copy, words, {**os.environ, _SEALED: "1"})  # noqa: S606 - ourselves


def _open_streams() -> None:
    """A caller may have closed some of the three: what is opened first would then take their place."""
    while (descriptor := os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _tell(first: Parsed, text: str) -> None:
    path = first.text("log")
    if path:
        import json
        from datetime import UTC, datetime

        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        record = {"level": "error", "msg": text, "time": now}
        line = (
            json.dumps(record)
            if first.text("log-format") == "json"
            else f'time="{now}" level=error msg={json.dumps(text)}'
        )
        try:
            with open(path, "a", encoding="utf-8") as log:
                log.write(line + "\n")
        except OSError as error:
            print(f"sampan-oci: the log {path}: {error.strerror}", file=sys.stderr)
    print(f"sampan-oci: {text}", file=sys.stderr)
