"""Makes schema-1.51.json of the Engine API's schema: `python condense_schema.py engine-api-v1.51.yaml > schema-1.51.json`.

Needs PyYAML. The result holds what the tests compare: for each definition its properties and their types (an object
without a name of its own is listed as `Outer.Property`), and the methods of each path.
"""

import json
import sys
from typing import Any

Definitions = dict[str, dict[str, str]]


def condensed(document: dict[str, Any]) -> dict[str, Any]:
    given = document["definitions"]
    found: Definitions = {}
    for name, schema in given.items():
        _definition(name, schema, given, found)
    for name, schema in _bodies(document["paths"]):
        _definition(name, schema, given, found)
    methods = ("get", "post", "put", "delete", "head")
    paths = {path: sorted(m.upper() for m in item if m in methods) for path, item in document["paths"].items()}
    return {"definitions": found, "paths": paths}


def _bodies(paths: dict[str, Any]) -> list[tuple[str, Any]]:
    """Request bodies and answers that have no definition of their own, by operation."""
    found = []
    for item in paths.values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter.get("in") == "body" and "$ref" not in parameter["schema"]:
                    found.append((operation["operationId"] + "Request", parameter["schema"]))
            for status, answer in operation.get("responses", {}).items():
                schema = answer.get("schema", {})
                if int(status) < 300 and "properties" in schema:
                    found.append((operation["operationId"] + "Answer", schema))
    return found


def _definition(name: str, schema: dict[str, Any], given: dict[str, Any], found: Definitions) -> None:
    properties = _properties(schema, given)
    if not properties:
        return
    found[name] = {}
    for field, sub in properties.items():
        found[name][field] = _type(f"{name}.{field}", sub, given, found)


def _properties(schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            part = given[part["$ref"].rsplit("/", 1)[1]]
        merged |= _properties(part, given)
    merged |= schema.get("properties", {})
    return merged


def _type(name: str, schema: dict[str, Any], given: dict[str, Any], found: Definitions) -> str:
    if "$ref" in schema:
        target = schema["$ref"].rsplit("/", 1)[1]
        return target if _properties(given[target], given) else _type(target, given[target], given, found)
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _type(name, schema["allOf"][0], given, found)
    if schema.get("properties"):
        _definition(name, schema, given, found)
        return name
    if schema.get("type") == "array":
        return f"[{_type(name, schema['items'], given, found)}]"
    if "additionalProperties" in schema:
        return f"{{{_type(name, schema['additionalProperties'], given, found)}}}"
    return str(schema.get("type", "object"))


if __name__ == "__main__":
    import yaml

    with open(sys.argv[1]) as file:
        json.dump(condensed(yaml.safe_load(file)), sys.stdout, indent=1, sort_keys=True)
    print()
