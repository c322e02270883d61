"""The judge of answers: what it refuses, and that the schema that it needs is there."""

import json
from pathlib import Path

import pytest

from tests.schema import published
from tests.schema.checking import Reader
from tests.schema.departures import DEPARTURES, departs
from tests.schema.published import Given, Published

SCHEMA = {
    "info": {"version": "1.51"},
    "definitions": {
        "ErrorResponse": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
        "Base": {"type": "object", "properties": {"Name": {"type": "string", "enum": ["a", "b"]}}},
        "Box": {
            "allOf": [
                {"$ref": "#/definitions/Base"},
                {
                    "type": "object",
                    "required": ["Id"],
                    "properties": {
                        "Id": {"type": "string"},
                        "Size": {"type": "integer", "format": "uint16", "x-nullable": True},
                        "At": {"type": "string", "format": "dateTime"},
                        "Base": {"$ref": "#/definitions/Base", "x-nullable": True},
                        "Labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            ]
        },
    },
    "paths": {
        "/boxes/{id}/json": {
            "get": {"responses": {200: {"schema": {"$ref": "#/definitions/Box"}}, 404: {}}},
            "post": {"responses": {204: {}}},
        }
    },
}

GOOD = {"Id": "x", "Name": "a", "Size": None, "At": "2026-01-02T03:04:05.6Z", "Base": None, "Labels": {"a": "b"}}


def faults(body: object, status: int = 200, type: str = "application/json", method: str = "GET") -> list[str]:
    return Published(SCHEMA).faults(Given(method, "/boxes/{name}/json", "1.51", status, type, json.dumps(body)))


def test_what_the_schema_says_is_right() -> None:
    assert faults(GOOD) == []
    assert faults({"message": "no"}, 404) == []
    assert faults("", 204, "", "POST") == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Id": 5}, ".Id: 5 is not of type 'string'"),
        ({"Name": "c"}, ".Name: 'c' is not one of ['a', 'b']"),
        ({"Size": 65536}, ".Size: 65536 is not a 'uint16'"),
        ({"At": "yesterday"}, ".At: 'yesterday' is not a 'dateTime'"),
        ({"Labels": None}, ".Labels: None is not of type 'object'"),
        ({"Labels": {"a": 1}}, ".Labels.a: 1 is not of type 'string'"),
        ({"id": "x"}, ".: Additional properties are not allowed ('id' was unexpected)"),
    ],
)
def test_what_it_does_not_say_is_a_fault(change: dict[str, object], fault: str) -> None:
    assert faults({**GOOD, **change}) == [fault]


def test_members_that_must_be_there() -> None:
    assert faults({"Name": "a"}) == [".: 'Id' is a required property"]
    assert faults({"error": "no"}, 404) != []


def test_an_older_version_may_have_had_more_members() -> None:
    given = Given(
        "GET", "/boxes/{name}/json", "1.41", 200, "application/json", json.dumps({**GOOD, "Old": 1, "Size": "x"})
    )
    assert Published(SCHEMA).faults(given) == [".Size: 'x' is not of type 'integer', 'null'"]


def test_status_and_content_type() -> None:
    assert faults(GOOD, 201) == ["status 201 is not among ['200', '404']"]
    assert faults({"message": "tea"}, 418) == ["status 418 is none of this operation's"]
    assert faults(GOOD, type="text/plain") == ["content type 'text/plain' for a document"]


def test_a_stream_is_judged_document_by_document() -> None:
    text = json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "Id": 5}) + '\n{"Id": "cut o'
    given = Given("GET", "/boxes/{name}/json", None, 200, "application/json", text, grew=True)
    assert Published(SCHEMA).faults(given) == [".Id: 5 is not of type 'string'"]


def test_listed_departures_only() -> None:
    assert departs("GET /containers/{name}/json", ".HostConfig.Binds: None is not of type 'array'")
    assert not departs("GET /containers/{name}/json", ".HostConfig.Binds: 5 is not of type 'array'")
    assert not departs("GET /images/json", ".HostConfig.Binds: None is not of type 'array'")
    assert departs("GET /containers/json", "[].NetworkSettings.Networks.bridge.Links: None is not of type 'array'")
    assert all(departure.reason for departure in DEPARTURES)


@pytest.fixture
def schema() -> Published:
    if not published.FILE.exists():
        pytest.skip(f"no {published.FILE.name} beside the project: no answer was compared with it")
    return published.published()


def test_the_schema_is_read_whole(schema: Published) -> None:
    assert len(schema.operations) > 100
    answer = Given("GET", "/version", "1.51", 200, "application/json", '{"Version": 5}')
    assert ".Version: 5 is not of type 'string'" in schema.faults(answer)


def test_faults_are_told_once_and_torn_lines_later(schema: Published, tmp_path: Path) -> None:
    directory = tmp_path
    line = json.dumps(
        {"method": "GET", "route": "/version", "version": None, "status": 200, "type": "application/json", "body": "[]"}
    )
    (directory / "one").write_text(line + "\n" + line[:20])
    reader = Reader(directory)
    assert reader.faults() == ["GET /version 200: .: [] is not of type 'object'"]
    (directory / "one").write_text(line + "\n" + line + "\n")
    assert reader.faults() == []
