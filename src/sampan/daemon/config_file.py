"""daemon.json: read, flattened, and set against the flags as dockerd does it. What the values mean is `config`'s."""

from pathlib import Path

import msgspec

from sampan.daemon.flags import CommandLine
from sampan.daemon.options import BY_KEY, Kind, Option, Verdict
from sampan.errors import InvalidParameter

Json = str | bool | int | float | list["Json"] | dict[str, "Json"] | None

_LIMIT = 1024 * 1024
_NESTED = "proxies"
_DECODER = msgspec.json.Decoder(dict[str, object])


def read(path: Path, *, required: bool) -> dict[str, object]:
    """The file's keys. A missing file is an empty one unless it was named on the command line (`required`)."""
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
    except FileNotFoundError as error:
        if required:
            raise _unable(path, f"open {path}: no such file or directory") from error
        return {}
    except OSError as error:
        raise _unable(path, f"open {path}: {error.strerror}") from error
    if len(text) > _LIMIT:
        raise _unable(path, f"longer than {_LIMIT} bytes")
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return {}
    try:
        values = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unable(path, f"invalid JSON: {error}") from error
    return _checked(path, _flattened(values))


def _unable(path: Path, why: str) -> InvalidParameter:
    return InvalidParameter(f"unable to configure the Docker daemon with file {path}: {why}")


def _flattened(values: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if key == _NESTED and isinstance(value, dict):
            flat.update(value)
        else:
            flat[key] = value
    return flat


def _checked(path: Path, values: dict[str, object]) -> dict[str, object]:
    unknown = sorted(key for key in values if key not in BY_KEY)
    if unknown:
        raise _unable(path, f"the following directives don't match any configuration option: {', '.join(unknown)}")
    for key, value in values.items():
        if not _fits(BY_KEY[key].kind, value):
            raise _unable(path, f"invalid JSON: {key} cannot be {shown(value)}")
    return values


def _fits(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.SWITCH:
            return isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.SIZE:
            return isinstance(value, int | str) and not isinstance(value, bool)
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.LIST:
            return isinstance(value, list)
        case Kind.MAP:
            return isinstance(value, dict)


def shown(value: object) -> str:
    """A value as Go prints it with %v: `[a b]`, `map[a:1 b:2]`, `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + " ".join(shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{shown(item)}" for key, item in sorted(value.items())) + "]"
    return "<nil>" if value is None else str(value)


def refuse_conflicts(path: Path, line: CommandLine, values: dict[str, object]) -> None:
    """Raise InvalidParameter where a key is given on both sides, as dockerd does even if both agree."""
    both = [
        f"{key}: (from flag: {shown(line.values[key])}, from file: {shown(values[key])})"
        for key in BY_KEY
        if key in values and key in line.values
    ]
    if both:
        text = "the following directives are specified both as a flag and in the configuration file: "
        raise _unable(path, text + ", ".join(both))


def refuse_unsupported(merged: dict[str, object]) -> list[str]:
    """Raise InvalidParameter for keys that Sampan refuses; returns a warning for each that has no meaning here."""
    warnings = []
    for key, value in merged.items():
        option = BY_KEY[key]
        if option.verdict is Verdict.REFUSED and not _is_default(option, value):
            raise InvalidParameter(f'"{key}" is not supported by Sampan: {option.note}')
        if option.verdict is Verdict.MEANINGLESS:
            warnings.append(f'"{key}" has no meaning here: {option.note}')
    return warnings


def _is_default(option: Option, value: object) -> bool:
    if value in ("", [], {}):
        return True
    if option.kind is Kind.NUMBER and isinstance(value, str):
        return value == str(option.default)
    return value == option.default
