"""JSON in and out, by the interpreter's own C scanner and encoder.

`import json` brings `re` and `enum` and costs 10 ms, a quarter of a command's budget; its two C functions cost nothing.
Where an interpreter has no `_json`, the standard module is used instead.
"""

from __future__ import annotations

from sampan.errors import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
    Document = dict[str, Json]


class MalformedDocument(SampanError, ValueError):
    """The text is not JSON, or not of the shape that was asked for."""


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"invalid constant {name}")


def _make_scanner() -> Callable[[str, int], tuple[Json, int]]:
    try:
        from _json import make_scanner
    except ImportError:
        from json import JSONDecoder

        return JSONDecoder(parse_constant=_refuse_constant).raw_decode

    class Rules:
        """What the scanner reads from its context: everything as JSON has it, no hooks."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = staticmethod(_refuse_constant)

    return make_scanner(Rules())  # type: ignore[arg-type] # typeshed asks for a JSONDecoder; C reads these six attributes


_scan = _make_scanner()


def parse(data: bytes | str) -> Json:
    """The value that the JSON text holds. Raises MalformedDocument, never RecursionError or a bare ValueError."""
    try:
        text = (data if isinstance(data, str) else str(data, "utf-8")).strip(" \t\r\n")
        value, end = _scan(text, 0)
    except StopIteration as error:
        raise MalformedDocument(f"not JSON at offset {error.value}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedDocument(f"not JSON: {error}") from None
    if end != len(text):
        raise MalformedDocument(f"not JSON: something follows at offset {end}")
    return value


def _refuse_value(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _make_writer() -> Callable[[Json], str]:
    try:
        from _json import encode_basestring as quote
        from _json import make_encoder

        encode = make_encoder(None, _refuse_value, quote, None, ":", ",", False, False, False)
    except (ImportError, TypeError):  # not CPython, or a release that takes other arguments
        from json import dumps

        return lambda value: dumps(value, ensure_ascii=False, separators=(",", ":"))
    return lambda value: "".join(encode(value, 0))


write = _make_writer()


def document(data: bytes | str) -> Document:
    """The JSON object in `data`; MalformedDocument when it is anything else."""
    value = parse(data)
    if not isinstance(value, dict):
        raise MalformedDocument(f"expected a JSON object, got {type(value).__name__}")
    return value


def text_of(holder: Document, key: str) -> str:
    """The string at `key`, or "" where it is missing, null or of another type (as Go's decoder leaves the zero value)."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def number_of(holder: Document, key: str) -> int:
    """The whole number at `key`, or 0."""
    value = holder.get(key)
    if isinstance(value, float):
        return int(value)
    return value if isinstance(value, int) else 0


def flag_of(holder: Document, key: str) -> bool:
    """The truth value at `key`, or False."""
    return holder.get(key) is True


def object_of(holder: Document, key: str) -> Document:
    """The object at `key`, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def list_of(holder: Document, key: str) -> list[Json]:
    """The list at `key`, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, list) else []


def objects_of(holder: Document, key: str) -> list[Document]:
    """The objects in the list at `key`; whatever else the list holds is left out."""
    return [item for item in list_of(holder, key) if isinstance(item, dict)]


def texts_of(holder: Document, key: str) -> list[str]:
    """The strings in the list at `key`; whatever else the list holds is left out."""
    return [item for item in list_of(holder, key) if isinstance(item, str)]
