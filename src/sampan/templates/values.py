"""What templates work on, and how Go prints it: JSON values, rows with computed fields, and nil by the name of its field."""

from __future__ import annotations

from sampan.templates.lexer import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
    Thing: TypeAlias = "Json | Row"


class Row:
    """One line of a listing: fields that are computed when a template asks for them, and methods that take arguments."""

    __slots__ = ("_document", "_fields", "_methods", "type_name")

    def __init__(
        self,
        type_name: str,
        fields: Mapping[str, Callable[[], Json]],
        methods: Mapping[str, Callable[[str], Json]] | None = None,
        document: dict[str, Json] | None = None,
    ) -> None:
        """`document` is the row in JSON, where that is not its fields."""
        self.type_name = type_name
        self._fields = fields
        self._methods = methods or {}
        self._document = document

    def field(self, name: str, arguments: list[Thing]) -> Json:
        """The value of a field or method; TemplateError for one that is not there."""
        if arguments:
            method = self._methods.get(name)
            if method is not None and len(arguments) == 1 and isinstance(arguments[0], str):
                return method(arguments[0])
        elif name in self._fields:
            return self._fields[name]()
        raise TemplateError(f"can't evaluate field {name} in type {self.type_name}")

    def document(self) -> dict[str, Json]:
        """All fields, by name in order, as `--format json` prints them."""
        if self._document is not None:
            return self._document
        return {name: self._fields[name]() for name in sorted(self._fields)}


# JSON's null says nothing of a type. Go prints nil of a pointer, a map and a list differently: by the names of the API's fields.
_POINTERS = frozenset(
    """Health Healthcheck OomKillDisable MemorySwappiness PidsLimit Init StopTimeout Container Platform IPAMConfig NetworkConfig
    GraphDriver ImageManifestDescriptor ClusterInfo UsageData Status SizeRw SizeRootFs""".split()  # noqa: SIM905
)
_MAPS = frozenset(
    """Volumes Labels Options DriverOpts Ports PortBindings ExposedPorts Sysctls StorageOpt Tmpfs Annotations Config Data
    Networks Containers Runtimes""".split()  # noqa: SIM905
)
# Left out of the JSON when empty, and no fault to ask for.
_OPTIONAL = frozenset(
    """Health Healthcheck ExposedPorts Annotations Init Mounts Tmpfs Sysctls StorageOpt OnBuild Shell StopSignal StopTimeout SizeRw
    SizeRootFs ImageManifestDescriptor NetworkDisabled ArgsEscaped Domainname MacAddress Error ExitCode Comment Author Variant
    Labels Options Status UsageData Warnings EnableIPv4""".split()  # noqa: SIM905
)


def look_up(holder: Thing, name: str, arguments: list[Thing]) -> Json:
    """Field `name` of a value, as {{.name}} asks for it."""
    if isinstance(holder, Row):
        return holder.field(name, arguments)
    if isinstance(holder, dict):
        if arguments:
            raise TemplateError(f"{name} is not a method but has arguments")
        if name in holder:
            return holder[name]
        if name in _OPTIONAL:
            return [] if name in ("Mounts", "OnBuild", "Shell", "Warnings") else {} if name in _MAPS else None
        raise TemplateError(f'map has no entry for key "{name}"')
    if holder is None:
        raise TemplateError(f"nil data; no entry for key {name!r}".replace("'", '"'))
    raise TemplateError(f"can't evaluate field {name} in type {type_name(holder)}")


def type_name(value: Thing) -> str:
    """The Go type that a decoded JSON value has, for messages and %T."""
    if isinstance(value, Row):
        return value.type_name
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return (
        "[]interface {}"
        if isinstance(value, list)
        else "map[string]interface {}"
        if isinstance(value, dict)
        else "<nil>"
    )


def is_true(value: Thing) -> bool:
    """Go's truth: not the zero value, and not empty."""
    return bool(value) if not isinstance(value, Row) else True


def shown(value: Thing, name: str = "") -> str:
    """How Go's fmt.Print writes the value; `name` is the field a nil was found in."""
    if value is None:
        return "map[]" if name in _MAPS else "<nil>" if name in _POINTERS else "[]" if name else "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, list):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_inner(value[key], key)}" for key in sorted(value)) + "]"
    if isinstance(value, Row):
        return shown(value.document())
    return str(value)


def _inner(value: Json, name: str = "") -> str:
    return "<nil>" if value is None and not name else shown(value, name)


def go_float(number: float) -> str:
    """%v of a float64: the shortest digits; an exponent below 1e-4 and from 1e21 on, of at least two digits."""
    if number - number != 0:  # neither infinity nor what is not a number has a difference
        return "NaN" if number != number else "+Inf" if number > 0 else "-Inf"
    if number == int(number) and abs(number) < 1e21:
        return str(int(number))
    text = repr(number)
    if "e" in text or 0 < abs(number) < 1e-4:
        digits, _, exponent = f"{number:e}".partition("e") if "e" not in text else text.partition("e")
        return f"{digits}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-').zfill(2)}"
    return text
