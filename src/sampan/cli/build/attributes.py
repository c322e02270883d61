"""Values with several parts, as buildx writes them: `type=local,dest=out`, `id=key,src=path`, and their short forms.

A part is KEY=VALUE; fields with commas are quoted as in CSV. Keys count in any case of letters.
"""

from __future__ import annotations

import os

from sampan.cli.failures import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_LIMIT = 500 * 1024
"""Bytes of one secret, as BuildKit has it."""


class Typed:
    """`type=…` and the other parts. `dest` is where this side writes; "" for nowhere, "-" for standard output."""

    __slots__ = ("attributes", "dest", "type")

    def __init__(self, kind: str, attributes: dict[str, str], dest: str = "") -> None:
        self.type = kind
        self.attributes = attributes
        self.dest = dest


def parts(option: str, text: str) -> dict[str, str]:
    """The parts of one value. Exit 1 for a part without a key."""
    from sampan.cli.create.csv_fields import fields

    found: dict[str, str] = {}
    try:
        for field in fields(text):
            key, equals, value = field.partition("=")
            if not equals or not key.strip():
                raise ValueError(f"invalid value {field}")
            found[key.strip().lower()] = value
    except ValueError as error:
        raise Exit(1, f"ERROR: invalid argument {text!r} for --{option}: {error}") from error
    return found


def output(text: str) -> Typed:
    """`--output`: a directory alone is `local`, `-` a tar on standard output."""
    if text == "-":
        return Typed("tar", {}, "-")
    if "=" not in text:
        return Typed("local", {}, text)
    found = parts("output", text)
    kind = found.pop("type", "")
    if kind not in ("local", "tar", "oci", "docker", "image", "registry"):
        reason = f"unknown output type {kind}" if kind else "type is required for output"
        raise Exit(1, f"ERROR: invalid argument {text!r} for --output: {reason}")
    dest = found.pop("dest", "")
    if kind == "local" and dest in ("", "-"):
        raise Exit(1, "ERROR: dest is required for local output")
    if kind in ("tar", "oci") and not dest:
        dest = "-"
    if kind in ("image", "registry") and dest:
        raise Exit(1, f"ERROR: dest is not supported for {kind} output")
    if kind == "registry":
        kind, found = "image", {**found, "push": "true"}
    return Typed(kind, found, dest)


def cache(option: str, text: str) -> list[Typed]:
    """`--cache-from`, `--cache-to`: names of images alone are of type `registry`. Local paths become absolute."""
    if "=" not in text:
        return [Typed("registry", {"ref": name}) for name in text.split(",") if name]
    found = parts(option, text)
    kind = found.pop("type", "")
    if not kind:
        raise Exit(1, f'ERROR: invalid argument {text!r} for --{option}: type required form> "type=registry,ref=…"')
    for name in ("src", "dest"):
        if name in found:
            found[name] = os.path.abspath(found[name])
    return [Typed(kind, found)]


def secret(text: str, environ: Mapping[str, str]) -> tuple[str, bytes]:
    """`--secret`: its id and its bytes, from `src`, `env`, or what is called as the id is. Exit 1 where there is nothing."""
    found = parts("secret", text)
    name = found.get("id", "")
    kind = found.get("type", "")
    path = found.get("src", "") or found.get("source", "")
    variable = found.get("env", "")
    unknown = found.keys() - {"id", "type", "src", "source", "env"}
    if unknown:
        raise Exit(1, f"ERROR: unexpected key '{min(unknown)}' in '{text}'")
    if kind not in ("", "file", "env"):
        raise Exit(1, f"ERROR: unsupported secret type {kind!r}")
    if kind == "env" and not variable:
        variable, path = path, ""
    name = name or os.path.basename(path)
    if not name:
        raise Exit(1, f"ERROR: invalid argument {text!r} for --secret: id is required")
    if not path and not variable:
        variable, path = (name, "") if name in environ else ("", name)
    if variable:
        if variable not in environ:
            raise Exit(1, f"ERROR: secret {name}: the variable {variable} is not set")
        return name, os.fsencode(environ[variable])
    return name, _secret_file(name, path)


def _secret_file(name: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(SECRET_LIMIT + 1)
    except OSError as error:
        raise Exit(1, f"ERROR: failed to stat {path}: {path}: {(error.strerror or '').lower()}") from error
    if len(data) > SECRET_LIMIT:
        raise Exit(1, f"ERROR: invalid secret {name}: larger than {SECRET_LIMIT} bytes")
    return data


def agent(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """`--ssh`: an id and the socket of an agent. Exit 1 for a private key: this command starts no agent."""
    name, _, path = text.partition("=")
    path = path or environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise Exit(1, f"ERROR: invalid empty ssh agent socket: SSH_AUTH_SOCK is not set, and --ssh {text} names none")
    import stat

    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise Exit(1, f"ERROR: failed to stat {path}: {(error.strerror or '').lower()}") from error
    if not stat.S_ISSOCK(mode):
        raise Exit(
            1, f"ERROR: --ssh {text}: {path} is no agent's socket; load the key with ssh-add and give --ssh {name}"
        )
    return name, os.path.abspath(path)


def attestation(option: str, text: str) -> str:
    """`--sbom`, `--provenance`: "" for the default form, `mode=max`, `disabled=true`."""
    if text in ("", "true", "1"):
        return ""
    if text in ("false", "0"):
        return "disabled=true"
    parts(option, text)
    return text
