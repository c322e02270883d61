"""Values in gRPC's headers, as BuildKit's sessions spell them: what is not ASCII is escaped as in a URL's query."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus


def encoded(values: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Headers, several of a name in their order."""
    headers = []
    for name, each in values.items():
        escaped = any(not value.isascii() for value in each)
        headers += [(name, quote_plus(value) if escaped else value) for value in each]
        if escaped:
            headers.append((f"{name}-encoded", "1"))
    return headers
