"""Kinds of failure. No HTTP and no I/O here: `api` maps a kind to a status in one table.

    SampanError
    ├── InvalidParameter     the request itself is wrong; repeating it cannot help
    ├── Unauthorized         credentials are missing or wrong
    ├── Forbidden            understood, and refused
    ├── NotFound             the thing named does not exist
    ├── Conflict             the thing named is in a state that excludes the request
    ├── NotModified          the thing is already in the state asked for
    ├── TooManyRequests      somebody who was asked wants to be asked less often
    ├── Unavailable          this node does not offer the service (swarm routes)
    ├── NotImplementedHere   Docker has it, Sampan does not yet; the text names it
    └── System               the host or the engine failed

A room's own errors subclass a kind next to the code that raises them. Low layers raise `OSError`; the room that knows
the meaning translates with `raise … from`.
"""

import errno
import os

HOST_TROUBLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
"""What says nothing of a request, an archive or an image: the machine lacks something, and the same may pass later."""


def host_words(error: OSError) -> str:
    """Why the host refused, as Go says it and clients match it: `no space left on device`. Without a number its own words."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def host_fault(error: OSError) -> str:
    """The same with the file that it happened to, where the error names one."""
    return f"{os.fsdecode(error.filename)}: {host_words(error)}" if error.filename else host_words(error)


class SampanError(Exception):
    """Base of every failure that is meant for a user. `str(error)` is one line in Docker's wording where clients match it."""


class InvalidParameter(SampanError):
    """The request is malformed or asks for something impossible."""


class Unauthorized(SampanError):
    """Credentials are missing or wrong."""


class Forbidden(SampanError):
    """The request was understood and is refused."""


class NotFound(SampanError):
    """The container, image, network, volume or exec that was named does not exist."""


class Conflict(SampanError):
    """The state of the thing that was named excludes the request."""


class NotModified(SampanError):
    """The thing is already in the state that was asked for; not a fault."""


class TooManyRequests(SampanError):
    """A registry wants to be asked less often."""


class Unavailable(SampanError):
    """This node does not offer the service."""


class NotImplementedHere(SampanError):
    """Docker offers it and Sampan does not yet; the text names what."""


class System(SampanError):
    """The host or the engine failed; the text says what and what to do."""
