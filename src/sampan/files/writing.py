"""All of it, however little a call takes; apart from `atomic`, for processes that load no paths."""

from __future__ import annotations

import os


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """write(2) until all of `data` is written."""
    done = os.write(descriptor, data)
    if done < len(data):
        view = memoryview(data)[done:]
        while view:
            view = view[os.write(descriptor, view) :]
