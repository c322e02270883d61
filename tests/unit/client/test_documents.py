"""JSON by the C functions: as the standard module reads and writes it."""

import json

import pytest

from sampan.client import documents
from sampan.client.documents import MalformedDocument


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, -2.5, true, null, "x\\u00e9\\n\\ud83d\\ude00"], "b": {}}',
        " [ ] ",
        '"é"',
        "1e3",
        "12345678901234567890",
        "{}\n",
    ],
)
def test_reads_as_the_standard_module(text: str) -> None:
    assert documents.parse(text) == json.loads(text)
    assert documents.parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text", ["", "{", '{"a"}', "[1,]", "nul", "NaN", "Infinity", "{} x", '"\x01"', "[" * 100_000, "\udcff", "01"]
)
def test_refuses_what_is_not_json(text: str) -> None:
    with pytest.raises(MalformedDocument):
        documents.parse(text)


def test_refuses_bytes_that_are_not_utf8() -> None:
    with pytest.raises(MalformedDocument):
        documents.parse(b'"\xff"')


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, 'é\n"\\<']}, [], "x", {"": {"b": ""}}])
def test_writes_what_can_be_read(value: "documents.Json") -> None:
    assert json.loads(documents.write(value)) == value


def test_what_is_no_object_is_said() -> None:
    with pytest.raises(MalformedDocument, match="expected a JSON object, got list"):
        documents.document("[]")


def test_fields_of_a_wrong_type_are_empty() -> None:
    holder: documents.Document = {"a": 1, "b": "x", "c": None}
    assert documents.text_of(holder, "a") == ""
    assert documents.number_of(holder, "b") == 0
    assert documents.object_of(holder, "c") == {}
    assert documents.texts_of({"l": ["x", 1, None]}, "l") == ["x"]
    assert documents.flag_of({"f": 1}, "f") is False
