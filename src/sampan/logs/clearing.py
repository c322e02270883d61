"""A log that no monitor writes any more begins anew."""

import os

from sampan.logs.log_file import LogFile


def clear(path: str) -> None:
    """Forget what stands in the log at `path`; nothing where there is none. The caller knows that nobody writes it.

    Whoever has it open reads it to its end. Raises OSError where it stays.
    """
    if not os.path.exists(path):
        return
    numbered = not path.endswith("-json.log")
    log = LogFile(path, -1, 1, lambda text: text + b"\n", compress=True, numbered=numbered)
    try:
        log.clear()
    finally:
        log.close()
