"""Platforms in requests, as `os/architecture[/variant]`: what the backend is given; "" for none."""

import re

import msgspec

from sampan.errors import InvalidParameter
from sampan.spec.oci_descriptor import Platform

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_DECODER = msgspec.json.Decoder(Platform)


def platform_of_json(text: str) -> str:
    """From an OCI platform as JSON, as newer routes take it. Raises InvalidParameter in Docker's words."""
    if not text:
        return ""
    try:
        given = _DECODER.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"failed to parse platform: {error}") from error
    if not given.os and not given.architecture and (given.variant or given.os_version or given.os_features):
        raise InvalidParameter("optional platform fields provided, but OS and Architecture are missing")
    if not given.os or not given.architecture:
        raise InvalidParameter("both OS and Architecture must be provided")
    return platform_of_text("/".join(part for part in (given.os, given.architecture, given.variant) if part))


def platform_of_text(text: str) -> str:
    """From `linux/amd64`, checked for its form. Raises InvalidParameter."""
    parts = text.split("/") if text else []
    for part in parts:
        if not _WORD.fullmatch(part):
            raise InvalidParameter(
                f'"{part}" is an invalid component of "{text}": platform specifier component must match {_WORD.pattern!r}'
            )
    if len(parts) > 3:
        raise InvalidParameter(f'"{text}": cannot parse platform specifier: invalid argument')
    return text.lower()
