"""The published schema, and what an answer has that it does not allow.

Swagger 2.0 is turned into JSON schema draft 4: `allOf` is merged, `x-nullable` admits null, a property that the schema does
not name is refused (a misspelt member is one), formats are checked.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FILE = Path(__file__).parents[3] / "shared" / "reference" / "engine-api-v1.51.yaml"
"""Beside the project, never in it."""

METHODS = ("get", "post", "put", "delete", "head")
Json = dict[str, Any]

_ADDITIONAL = ": Additional properties are not allowed"
"""Of an older version's answer it is no fault: members have gone since."""
ANYWHERE = frozenset((400, 403, 404, 409, 500, 501, 503))
"""Failures that any operation may answer: Docker's schema names only some of them."""


@dataclass(frozen=True)
class Given:
    """One recorded answer."""

    method: str
    route: str
    version: str | None
    status: int
    type: str
    body: str | None
    grew: bool = False

    @property
    def operation(self) -> str:
        return f"{self.method} {self.route}"


def document() -> Json:
    """The schema's file as it is. Raises FileNotFoundError."""
    with FILE.open() as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # type: ignore[no-any-return]


def shape(path: str) -> str:
    """A route's path without the names of its variables, which the schema calls differently."""
    return re.sub(r"\{[^}]*\}", "{}", path)


class Published:
    """The schema, ready to judge answers."""

    def __init__(self, given: Json) -> None:
        self._given = given
        self._definitions = {name: self._converted(schema) for name, schema in given["definitions"].items()}
        self.operations: dict[tuple[str, str], Json] = {
            (method.upper(), shape(path)): operation
            for path, item in given["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        }

    def faults(self, answer: Given) -> list[str]:
        """What is wrong with it: `.Member: what`, empty where nothing is."""
        operation = self.operations.get((answer.method, shape(answer.route)))
        if operation is None:
            return []
        if answer.status >= 400:
            return self._faults_of_failure(answer, operation)
        declared = operation["responses"].get(str(answer.status)) or operation["responses"].get(answer.status)
        if declared is None:
            return [f"status {answer.status} is not among {sorted(map(str, operation['responses']))}"]
        schema = declared.get("schema")
        if schema is None or schema.get("type") == "string" or answer.body is None or answer.method == "HEAD":
            return []
        if answer.type != "application/json":
            return [f"content type {answer.type!r} for a document"]
        faults = [fault for part in _documents(answer) for fault in self._compare(part, schema)]
        older = answer.version not in (None, self._given["info"]["version"])
        return [fault for fault in faults if not (older and _ADDITIONAL in fault)]

    def _faults_of_failure(self, answer: Given, operation: Json) -> list[str]:
        if answer.status not in ANYWHERE and str(answer.status) not in map(str, operation["responses"]):
            return [f"status {answer.status} is none of this operation's"]
        if answer.type.startswith("text/plain") and answer.status == 400:
            return []  # to clients older than JSON errors
        if answer.method == "HEAD" or answer.body is None:
            return []
        return self._compare(json.loads(answer.body), {"$ref": "#/definitions/ErrorResponse"})

    def _compare(self, value: object, schema: Json) -> list[str]:
        whole = {**self._converted(schema), "definitions": self._definitions}
        checker = jsonschema.Draft4Validator(whole, format_checker=_FORMATS)
        return sorted(dict.fromkeys(_worded(error) for error in checker.iter_errors(value)))

    def _converted(self, schema: Json) -> Json:
        if "$ref" in schema:
            made: Json = {"$ref": schema["$ref"]}
            return {"anyOf": [made, {"type": "null"}]} if schema.get("x-nullable") else made
        if "allOf" in schema:
            parts = [self._flat(part) for part in schema["allOf"]]
            merged: Json = {k: v for k, v in schema.items() if k != "allOf"}
            merged["properties"] = {k: v for part in parts for k, v in part.get("properties", {}).items()}
            merged["required"] = [name for part in parts for name in part.get("required", ())]
            for part in parts:
                if "additionalProperties" in part:
                    merged["additionalProperties"] = part["additionalProperties"]
                merged.setdefault("type", part.get("type", "object"))
            if not merged["properties"]:
                del merged["properties"]
            return self._converted(merged)
        return self._plain(schema)

    def _plain(self, schema: Json) -> Json:
        made: Json = {key: schema[key] for key in ("type", "enum", "format", "minimum", "maximum") if key in schema}
        if schema.get("required"):
            made["required"] = schema["required"]
        if "items" in schema:
            made["items"] = self._converted(schema["items"])
        if "properties" in schema:
            made["properties"] = {name: self._converted(sub) for name, sub in schema["properties"].items()}
            made["additionalProperties"] = False
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            made["additionalProperties"] = self._converted(more)
        if schema.get("x-nullable") and "type" in made:
            made["type"] = [made["type"], "null"]
            if "enum" in made:
                made["enum"] = [*made["enum"], None]
        return made

    def _flat(self, schema: Json) -> Json:
        """A part of an `allOf` with its own reference followed and its own `allOf` merged."""
        if "$ref" in schema:
            return self._flat(self._given["definitions"][schema["$ref"].rpartition("/")[2]])
        if "allOf" not in schema:
            return schema
        parts = [self._flat(part) for part in (*schema["allOf"], {k: v for k, v in schema.items() if k != "allOf"})]
        return {
            "type": "object",
            "properties": {k: v for part in parts for k, v in part.get("properties", {}).items()},
            "required": [name for part in parts for name in part.get("required", ())],
        }


@functools.cache
def published() -> Published:
    """The schema, read once. Raises FileNotFoundError."""
    return Published(document())


def _documents(answer: Given) -> Iterator[object]:
    """The JSON documents in a body; the last may be cut short where a stream was left or grew beyond what is kept."""
    assert answer.body is not None
    if not answer.grew:
        yield json.loads(answer.body)
        return
    for line in answer.body.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError:
                return


def _worded(error: jsonschema.ValidationError) -> str:
    where = "".join(f".{part}" if isinstance(part, str) else "[]" for part in error.absolute_path)
    return f"{where or '.'}: {error.message[:200]}"


_FORMATS = jsonschema.FormatChecker(formats=())
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_BOUNDS = {
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


@_FORMATS.checks("dateTime")
@_FORMATS.checks("date-time")
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or _TIME.fullmatch(value) is not None


def _bounded(name: str) -> None:
    low, high = _BOUNDS[name]

    @_FORMATS.checks(name)
    def within(value: object) -> bool:
        return not isinstance(value, int) or low <= value <= high


for _name in _BOUNDS:
    _bounded(_name)
