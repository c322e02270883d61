"""Instructions of a Dockerfile that change a configuration only: for `import --change`, and later commit."""

import re
from collections.abc import Callable, Sequence

import msgspec

from sampan.errors import InvalidParameter
from sampan.images.words import split_words
from sampan.spec.oci_image import Empty, Healthcheck, ImageConfig

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SHELL = ["/bin/sh", "-c"]


def apply_changes(config: ImageConfig, lines: Sequence[str]) -> ImageConfig:
    """`config` after the instructions. Raises InvalidParameter for one that is malformed or no change of a configuration."""
    for line in lines:
        for part in line.splitlines():
            if part.strip() and not part.lstrip().startswith("#"):
                config = _apply(config, part.strip())
    return config


def _apply(config: ImageConfig, line: str) -> ImageConfig:
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    handler = _HANDLERS.get(name.upper())
    if handler is None:
        raise InvalidParameter(f"{name.upper()} is not a valid change command")
    if not rest:
        raise InvalidParameter(f"{name.upper()} requires at least one argument")
    return handler(config, rest)


def environment(config: ImageConfig) -> dict[str, str]:
    """The configuration's environment as a mapping."""
    return dict(entry.split("=", 1) for entry in config.env or ())


def _json_list(text: str) -> list[str] | None:
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        return None


def _command(config: ImageConfig, text: str) -> list[str]:
    listed = _json_list(text) if text.startswith("[") else None
    return listed if listed is not None else [*(config.shell or _SHELL), text]


def _pairs(config: ImageConfig, text: str, what: str) -> dict[str, str]:
    """`NAME=value NAME="other value"`, or the old form `NAME the rest`."""
    words = split_words(text, environment(config))
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value:
            raise InvalidParameter(f"{what} must have two arguments")
        return {name: " ".join(split_words(value.strip(), environment(config), keep_quotes=True))}
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidParameter(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
        pairs[name] = value
    return pairs


def _cmd(config: ImageConfig, text: str) -> ImageConfig:
    return msgspec.structs.replace(config, cmd=_command(config, text))


def _entrypoint(config: ImageConfig, text: str) -> ImageConfig:
    return msgspec.structs.replace(config, entrypoint=_command(config, text))


def _env(config: ImageConfig, text: str) -> ImageConfig:
    merged = {**environment(config), **_pairs(config, text, "ENV")}
    return msgspec.structs.replace(config, env=[f"{name}={value}" for name, value in merged.items()])


def _label(config: ImageConfig, text: str) -> ImageConfig:
    return msgspec.structs.replace(config, labels={**(config.labels or {}), **_pairs(config, text, "LABEL")})


def _expose(config: ImageConfig, text: str) -> ImageConfig:
    ports = dict(config.exposed_ports or {})
    for word in split_words(text, environment(config)):
        match = _PORT.fullmatch(word)
        if match is None:
            raise InvalidParameter(f"invalid containerPort: {word}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= 65535:
            raise InvalidParameter(f"invalid containerPort: {word}")
        for port in range(first, last + 1):
            ports[f"{port}/{(match[3] or 'tcp').lower()}"] = Empty()
    return msgspec.structs.replace(config, exposed_ports=ports)


def _volume(config: ImageConfig, text: str) -> ImageConfig:
    listed = _json_list(text) if text.startswith("[") else None
    paths = listed if listed is not None else split_words(text, environment(config))
    if not all(path.strip() for path in paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    return msgspec.structs.replace(config, volumes={**(config.volumes or {}), **dict.fromkeys(paths, Empty())})


def _workdir(config: ImageConfig, text: str) -> ImageConfig:
    path = " ".join(split_words(text, environment(config)))
    if not path.startswith("/"):
        path = f"{config.working_dir or '/'}/{path}"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return msgspec.structs.replace(config, working_dir="/" + "/".join(parts))


def _user(config: ImageConfig, text: str) -> ImageConfig:
    return msgspec.structs.replace(config, user=" ".join(split_words(text, environment(config))))


def _stop_signal(config: ImageConfig, text: str) -> ImageConfig:
    return msgspec.structs.replace(config, stop_signal=" ".join(split_words(text, environment(config))))


def _on_build(config: ImageConfig, text: str) -> ImageConfig:
    trigger = text.split(" ", 1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    return msgspec.structs.replace(config, on_build=[*(config.on_build or ()), text])


def _healthcheck(config: ImageConfig, text: str) -> ImageConfig:
    options: dict[str, str] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option[2:].partition("=")
        options[name] = value
        text = text.lstrip()
    kind, _, command = text.partition(" ")
    if kind.upper() == "NONE" and not command:
        return msgspec.structs.replace(config, healthcheck=Healthcheck(test=["NONE"]))
    if kind.upper() != "CMD" or not command.strip():
        raise InvalidParameter(f"Unknown type {kind!r} in HEALTHCHECK (try CMD)")
    listed = _json_list(command.strip()) if command.strip().startswith("[") else None
    durations = {name: _duration(options.pop(name, "0s")) for name in _DURATIONS}
    retries = options.pop("retries", "0")
    if options or not retries.isdecimal():
        raise InvalidParameter(f"Unknown flag: {next(iter(options), 'retries')}")
    check = Healthcheck(
        test=["CMD", *listed] if listed is not None else ["CMD-SHELL", command.strip()],
        interval=durations["interval"],
        timeout=durations["timeout"],
        start_period=durations["start-period"],
        start_interval=durations["start-interval"],
        retries=int(retries),
    )
    return msgspec.structs.replace(config, healthcheck=check)


_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def _duration(text: str) -> int:
    parts = _DURATION_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise InvalidParameter(f'time: invalid duration "{text[:100]}"')
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


_HANDLERS: dict[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
