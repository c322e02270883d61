"""Kinds of failure → HTTP status: the one place where the two meet."""

import sampan.errors as e

STATUS: tuple[tuple[type[e.SampanError], int], ...] = (
    (e.InvalidParameter, 400),
    (e.Unauthorized, 401),
    (e.Forbidden, 403),
    (e.NotFound, 404),
    (e.Conflict, 409),
    (e.NotModified, 304),
    (e.TooManyRequests, 429),
    (e.Unavailable, 503),
    (e.NotImplementedHere, 501),
    (e.System, 500),
)

REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class TooLarge(e.InvalidParameter):
    """A body is larger than its route takes."""


def status_of(error: BaseException) -> int:
    """The status that tells a client about `error`; 500 for whatever is no SampanError."""
    if isinstance(error, TooLarge):
        return 413
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return 500
