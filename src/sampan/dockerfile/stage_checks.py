"""The checks that need to know what every variable and setting is: a stage is gone through, and nothing is run."""

import re
from collections.abc import Mapping

import msgspec

from sampan.dockerfile import instructions as tree
from sampan.dockerfile.arguments import StageScope
from sampan.dockerfile.configuration import configure, inherited
from sampan.dockerfile.faults import DockerfileError, closest, quoted
from sampan.dockerfile.ignore import Ignore
from sampan.dockerfile.instructions import Dockerfile, Instruction
from sampan.dockerfile.mounts import parse_mount
from sampan.dockerfile.ports import parse_ports
from sampan.dockerfile.rules import Notes
from sampan.dockerfile.stages import Links
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import ImageConfig

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)


class StageState(msgspec.Struct, frozen=True):
    """What is known of a stage or image that another stands on. `known`: all its variables are in `config`."""

    config: ImageConfig
    known: bool
    work_dir_set: bool = False


def check_stage(
    dockerfile: Dockerfile,
    links: Links,
    outer: Mapping[str, str],
    given: Mapping[str, str],
    base: StageState,
    notes: Notes,
    ignore: Ignore | None,
) -> StageState:
    """Note what is found in a stage; tells what it ends with.

    Raises DockerfileError for what makes a build fail.
    """
    walk = _Walk(dockerfile, outer, given, base, notes, ignore)
    for instruction in links.instructions:
        walk.step(instruction)
    return StageState(walk.config, base.known, walk.work_dir_set)


class _Walk:
    def __init__(
        self,
        dockerfile: Dockerfile,
        outer: Mapping[str, str],
        given: Mapping[str, str],
        base: StageState,
        notes: Notes,
        ignore: Ignore | None,
    ) -> None:
        self.config = inherited(base.config)
        self.work_dir_set = base.work_dir_set
        self._base_known = base.known
        self._scope = StageScope(outer, given, dockerfile.escape)
        self._notes = notes
        self._ignore = ignore
        self._last: dict[str, Instruction] = {}

    def step(self, instruction: Instruction) -> None:
        expander = self._scope.expander(self.config)
        known = self._scope.variables(self.config)
        self._check(instruction, expander)
        if isinstance(instruction, tree.Arg):
            unset = self._scope.declare(instruction, self.config)
        else:
            self.config = configure(self.config, instruction, expander, cmd_given="CMD" in self._last)
            unset = expander.unset
        self._check_variables(instruction, unset, known)
        if isinstance(instruction, tree.Cmd | tree.Entrypoint | tree.HealthCheck):
            self._last[instruction.name] = instruction

    def _note(self, rule: str, message: str, instruction: Instruction) -> None:
        self._notes.add(rule, message, instruction.at, instruction.written.comments)

    def _check(self, instruction: Instruction, expander: Expander) -> None:
        match instruction:
            case tree.Arg():
                self._check_secrets("ARG", [one.name for one in instruction.definitions], instruction)
            case tree.Env() | tree.Label():
                self._check_pairs(instruction)
            case tree.Cmd() | tree.Entrypoint():
                self._check_once(instruction)
                if instruction.command.for_shell and not self.config.shell:
                    what = f"JSON arguments recommended for {instruction.name}"
                    message = f"{what} to prevent unintended behavior related to OS signals"
                    self._note("JSONArgsRecommended", message, instruction)
            case tree.HealthCheck():
                self._check_once(instruction)
            case tree.WorkDir():
                path = expander.word(instruction.path)
                if not self.work_dir_set and not path.startswith("/"):
                    message = f"Relative workdir {quoted(path)} can have unexpected results if the base image changes"
                    self._note("WorkdirRelativePath", message, instruction)
                self.work_dir_set = True
            case tree.Expose():
                self._check_ports(instruction, expander)
            case tree.Copy() | tree.Add():
                self._check_files(instruction, expander)
            case tree.Run():
                for mount in instruction.mounts:
                    _read_mount(mount, expander)
            case _:
                pass

    def _check_pairs(self, instruction: tree.Env | tree.Label) -> None:
        if any(pair.spaced for pair in instruction.pairs):
            name = instruction.name
            message = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
            self._note("LegacyKeyValueFormat", message, instruction)
        if isinstance(instruction, tree.Env):
            self._check_secrets("ENV", [pair.name for pair in instruction.pairs], instruction)

    def _check_secrets(self, keyword: str, names: list[str], instruction: Instruction) -> None:
        for name in names:
            if _SECRET.search(name) and not _NO_SECRET.search(name):
                message = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {quoted(name)})"
                self._note("SecretsUsedInArgOrEnv", message, instruction)

    def _check_once(self, instruction: Instruction) -> None:
        earlier = self._last.get(instruction.name)
        if earlier is not None:
            message = (
                f"Multiple {instruction.name} instructions should not be used in the same stage because only the last one "
                "will be used"
            )
            self._note("MultipleInstructionsDisallowed", message, earlier)

    def _check_ports(self, instruction: tree.Expose, expander: Expander) -> None:
        for word in instruction.ports:
            for text in expander.words(word):
                try:
                    found = parse_ports(text)
                except ValueError as error:
                    raise DockerfileError(str(error), word.at) from None
                if found.protocol != found.protocol.lower():
                    message = f"Defined protocol '{text}' in EXPOSE instruction should be lowercase"
                    self._note("ExposeProtoCasing", message, instruction)
                if found.published:
                    message = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
                    self._note("ExposeInvalidFormat", message, instruction)

    def _check_files(self, instruction: tree.Copy | tree.Add, expander: Expander) -> None:
        paths = [expander.word(word) for word in instruction.paths]
        expander.word(instruction.destination)
        for text in (instruction.chown, instruction.chmod):
            expander.text(text, instruction.at)
        for document in instruction.documents:
            expander.document(document)
        elsewhere = isinstance(instruction, tree.Copy) and instruction.source
        # Where something below may be kept after all, nothing can be said.
        if elsewhere or not self._ignore or self._ignore.has_exceptions:
            return
        for path in paths:
            name = path.strip("/").removeprefix("./").rstrip("/") or "."
            if self._ignore.excludes_root() if name == "." else self._ignore.ignores(name):
                verb = instruction.name.capitalize()
                message = f"Attempting to {verb} file {quoted(name)} that is excluded by .dockerignore"
                self._note("CopyIgnoredFile", message, instruction)

    def _check_variables(self, instruction: Instruction, unset: set[str], known: Mapping[str, str]) -> None:
        if not self._base_known:
            return
        for name in sorted(unset - self._scope.declared):
            meant = closest(name, known)
            message = f"Usage of undefined variable '${name}'" + (f" (did you mean ${meant}?)" if meant else "")
            self._note("UndefinedVar", message, instruction)


def _read_mount(mount: tree.Word, expander: Expander) -> None:
    try:
        parse_mount(mount.text, lambda text: expander.text(text, mount.at))
    except DockerfileError as error:
        raise DockerfileError(error.message, error.at or mount.at) from None
