"""docs/docker-compatibility.md says what the routes do."""

from tests.api.compatibility import DOCUMENT, document


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document(), "run python -m tests.api.compatibility"
