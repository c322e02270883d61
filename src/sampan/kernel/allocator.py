"""The C library's heap: mallopt(3), malloc_trim(3). glibc's own; another library's heap is left as it is.

What the daemon's small objects lie in is Python's; the rest (bodies, SQLite, compression) is the heap's.
"""

from __future__ import annotations

import ctypes

from sampan.kernel.calls import libc_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ARENA_MAX = -8
_DONE = 1


def _of_glibc(name: str, *argument_types: type) -> Callable[..., int] | None:
    try:
        return libc_function(name, *argument_types)
    except AttributeError:
        return None


_mallopt = _of_glibc("mallopt", ctypes.c_int, ctypes.c_int)
_malloc_trim = _of_glibc("malloc_trim", ctypes.c_size_t)


def limit_arenas(number: int) -> bool:
    """At most `number` heaps for all threads together (M_ARENA_MAX). Before the first thread; False where none can be set."""
    return _mallopt is not None and _mallopt(_ARENA_MAX, number) == _DONE


def trim() -> bool:
    """Give whole pages that are free back to the kernel, also from the middle of the heap. False where there was none to give.

    Takes a millisecond for ten megabytes, in which no other thread allocates.
    """
    return _malloc_trim is not None and _malloc_trim(0) == _DONE
