"""ARG: what a name means above the first FROM and inside a stage, and which names mean something without being declared.

given by the caller  >  default in the file  >  the ARG of that name above FROM  >  unset
ENV of a name always hides the ARG of that name
"""

from collections.abc import Mapping

import msgspec

from sampan.dockerfile.configuration import environment
from sampan.dockerfile.instructions import Arg, Dockerfile
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import ImageConfig, Platform

PROXIES = tuple(
    spelling
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for spelling in (name, name.lower())
)
"""RUN sees them where they are given; no ARG need declare them, and what they say is no part of a step's key."""

SETTINGS = (
    "BUILDKIT_BUILD_NAME",
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
    "BUILDKIT_SYNTAX",
    "SOURCE_DATE_EPOCH",
)
"""They speak to the builder."""


class Machines(msgspec.Struct, frozen=True):
    """The platform that builds and the platform that is built for."""

    build: Platform
    target: Platform


def platform_text(platform: Platform) -> str:
    """`linux/arm/v7`."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def predefined(machines: Machines, target: str) -> dict[str, str]:
    """The names that stand above the first FROM without being declared; a stage declares those it wants."""
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", machines.build), ("TARGET", machines.target)):
        found[f"{prefix}PLATFORM"] = platform_text(platform)
        found[f"{prefix}OS"] = platform.os
        found[f"{prefix}OSVERSION"] = platform.os_version
        found[f"{prefix}ARCH"] = platform.architecture
        found[f"{prefix}VARIANT"] = platform.variant
    found["TARGETSTAGE"] = target or "default"
    return found


def global_scope(
    dockerfile: Dockerfile, given: Mapping[str, str], machines: Machines, target: str = ""
) -> dict[str, str]:
    """What FROM sees: the predefined names and the ARGs above it. Raises DockerfileError."""
    last = dockerfile.stages[-1].start.stage
    scope = {name: given.get(name, value) for name, value in predefined(machines, target or last).items()}
    for instruction in dockerfile.arguments:
        for definition in instruction.definitions:
            if definition.name in given:
                scope[definition.name] = given[definition.name]
            elif definition.default is not None:
                expander = Expander(scope, dockerfile.escape, definition.at)
                scope[definition.name] = expander.text(definition.default)
    return scope


class StageScope:
    """The ARGs of one stage, as they are declared one after the other."""

    def __init__(self, outer: Mapping[str, str], given: Mapping[str, str], escape: str) -> None:
        self._outer = outer
        self._given = given
        self._escape = escape
        self.values: dict[str, str] = {}
        self.declared: set[str] = set()

    def declare(self, instruction: Arg, config: ImageConfig) -> set[str]:
        """Take an ARG in; tells the names its defaults asked for in vain. Raises DockerfileError."""
        unset: set[str] = set()
        for definition in instruction.definitions:
            name = definition.name
            self.declared.add(name)
            if name in self._given:
                self.values[name] = self._given[name]
            elif definition.default is not None:
                expander = self.expander(config)
                self.values[name] = expander.text(definition.default, definition.at)
                unset |= expander.unset
            elif name in self._outer:
                self.values[name] = self._outer[name]
        return unset

    def variables(self, config: ImageConfig) -> dict[str, str]:
        """Everything that has a value, for expansions and for what RUN runs."""
        return {**self.values, **environment(config)}

    def expander(self, config: ImageConfig) -> Expander:
        """Expands with what has a value now."""
        return Expander(self.variables(config), self._escape)
