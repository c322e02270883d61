"""The id of the request that is being answered: in every line about it, in its answer, and in what launcher and monitors are told.

It follows the request into every task, callback and worker thread that its answer begins (a context variable): what a monitor
tells hours later is about the request that started it.
"""

import os
import re
from contextvars import ContextVar
from itertools import count

HEADER = "X-Request-Id"

_current: ContextVar[str] = ContextVar("request", default="")
_GIVEN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""What of a client's is taken: it is written into logs and heads."""
_own = f"{os.urandom(4).hex()}-"
_numbers = count(1)

current = _current.get
"""The id; "" where no request is being answered."""


def begin(given: bytes | None) -> str:
    """From here on this task answers a request: by the client's id where it gave one that is fit, else by one of ours."""
    taken = given is not None and _GIVEN.fullmatch(given)
    chosen = given.decode() if given and taken else f"{_own}{next(_numbers):x}"
    _current.set(chosen)
    return chosen
