"""The checks of `build --check` by name: what each is about, and which of them a file or comment switches off."""

from dataclasses import dataclass, field
from typing import Self

import msgspec

from sampan.dockerfile.faults import DockerfileError, Range, quoted

RULES: dict[str, str] = {
    "ConsistentInstructionCasing": "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "CopyIgnoredFile": "Attempting to Copy file that is excluded by .dockerignore",
    "DuplicateStageName": "Stage names should be unique",
    "ExposeInvalidFormat": "IP address and host-port mapping should not be used in EXPOSE instruction. "
    "This will become an error in a future release",
    "ExposeProtoCasing": "Protocol in EXPOSE instruction should be lowercase",
    "FromAsCasing": "The 'as' keyword should match the case of the 'from' keyword",
    "FromPlatformFlagConstDisallowed": "FROM --platform flag should not use a constant value",
    "InvalidDefaultArgInFrom": "Default value for global ARG results in an empty or invalid base image name",
    "InvalidDefinitionDescription": "Comment for build stage or argument should follow the format: `# <arg/stage name> "
    "<description>`. If this is not intended to be a description comment, add an empty line or comment between the "
    "instruction and the comment.",
    "JSONArgsRecommended": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "LegacyKeyValueFormat": "Legacy key/value format with whitespace separator should not be used",
    "MaintainerDeprecated": "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "MultipleInstructionsDisallowed": "Multiple instructions of the same type should not be used in the same stage",
    "NoEmptyContinuation": "Empty continuation lines will become errors in a future release",
    "RedundantTargetPlatform": "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default "
    "behavior",
    "ReservedStageName": "Reserved words should not be used as stage names",
    "SecretsUsedInArgOrEnv": "Sensitive data should not be used in the ARG or ENV commands",
    "StageNameCasing": "Stage names should be lowercase",
    "UndefinedArgInFrom": "FROM command must use declared ARGs",
    "UndefinedVar": "Variables should be defined before their use",
    "WorkdirRelativePath": "Relative workdir without an absolute workdir declared within the build can have unexpected results "
    "if the base image changes",
}
"""Docker's names and descriptions. InvalidBaseImagePlatform is not here: it is about an image and not about a Dockerfile."""

EXPERIMENTAL = frozenset({"InvalidDefinitionDescription"})
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Finding(msgspec.Struct, frozen=True):
    """What a rule found, and where."""

    rule: str
    message: str
    at: Range

    @property
    def description(self) -> str:
        """What the rule is about."""
        return RULES[self.rule]


@dataclass(frozen=True, slots=True)
class Switches:
    """`skip=A,B;error=true;experimental=all`: which rules count."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, text: str, at: Range | None = None) -> Self:
        """Raises DockerfileError in BuildKit's wording."""
        names: dict[str, frozenset[str]] = {}
        everything: dict[str, bool] = {}
        error = False
        for option in text.strip().split(";", 2) if text.strip() else ():
            key, equals, value = option.partition("=")
            key, value = key.strip(), value.strip()
            if not equals or key not in ("skip", "experimental", "error"):
                raise DockerfileError(
                    f"failed to parse check options: invalid check option {quoted(key if equals else option)}", at
                )
            if key == "error":
                if value not in (*_TRUE, *_FALSE):
                    raise DockerfileError(f"failed to parse check options: {key}={value} is neither true nor false", at)
                error = value in _TRUE
            elif value == "all":
                everything[key] = True
            else:
                names[key] = frozenset(name.strip() for name in value.split(","))
        return cls(
            skip=names.get("skip", frozenset()),
            skip_all=everything.get("skip", False),
            experimental=names.get("experimental", frozenset()),
            experimental_all=everything.get("experimental", False),
            error=error,
        )

    def with_comments(self, comments: tuple[str, ...]) -> "Switches":
        """These, and what a comment right above an instruction says: `# check=skip=A`. What it says wrongly does not count."""
        for comment in comments:
            key, equals, value = comment.partition("=")
            if equals and key.strip().lower() == "check":
                try:
                    more = Switches.parse(value.strip().partition(" ")[0])
                except DockerfileError:
                    return self
                return Switches(
                    self.skip | more.skip,
                    self.skip_all or more.skip_all,
                    self.experimental | more.experimental,
                    self.experimental_all or more.experimental_all,
                    self.error,
                )
        return self

    def count(self, rule: str) -> bool:
        """Whether the rule is in force."""
        if rule in EXPERIMENTAL:
            return self.experimental_all or rule in self.experimental
        return not self.skip_all and rule not in self.skip


@dataclass(slots=True)
class Notes:
    """Gathers findings, one of a kind at a place."""

    switches: Switches
    found: list[Finding] = field(default_factory=list)

    def add(self, rule: str, message: str, at: Range, comments: tuple[str, ...] = ()) -> None:
        """Note a finding, unless its rule is switched off for the file or by `comments`."""
        finding = Finding(rule, message, at)
        if self.switches.with_comments(comments).count(rule) and finding not in self.found:
            self.found.append(finding)
