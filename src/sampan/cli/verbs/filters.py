"""--filter KEY=VALUE, as the API wants it: {"KEY": {"VALUE": true}}."""

from __future__ import annotations

from sampan.client import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document


def encode_filters(given: list[str]) -> str | None:
    """The `filters` parameter, or None where there are none."""
    found: Document = {}
    for text in given:
        if not text:
            continue
        key, _, value = text.partition("=")
        values = found.setdefault(key, {})
        assert isinstance(values, dict)
        values[value] = True
    return documents.write(found) if found else None
