"""The writer that a start asks for.

Loaded by the launcher, every driver at once: a monitor cannot import, since what it sees of the host does not have the
package. They share nearly all of their code.
"""

from __future__ import annotations

from sampan.logs.buffered import BufferedLog
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.local_writer import LocalWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sampan.logs.line_writer import Log

_WRITERS = {"json-file": JsonFileWriter, "local": LocalWriter}


def open_log(spec: dict[str, Any]) -> Log:
    """The log of a START message's `log` (see `plan.start`). Raises OSError where it cannot be opened."""
    writer = _WRITERS[spec["format"]](
        spec["path"], spec["max_size"], spec["max_files"], spec["attributes"].encode(), spec["compress"]
    )
    return writer if spec["buffer"] < 0 else BufferedLog(writer, spec["buffer"])
