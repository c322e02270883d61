"""The instructions as typed data. Words are as written: quotes and variables are still in them; `at` says where they stand."""

import msgspec

from sampan.dockerfile.faults import Range
from sampan.dockerfile.heredocs import Heredoc
from sampan.dockerfile.script import Directive


class Word(msgspec.Struct, frozen=True):
    """An argument and its place."""

    text: str
    at: Range


class Pair(msgspec.Struct, frozen=True):
    """`name=value`. `spaced`: the old form `NAME the rest`, of which there is one."""

    name: str
    value: str
    at: Range
    spaced: bool = False


class Definition(msgspec.Struct, frozen=True):
    """What ARG declares; `default` is None where there is none."""

    name: str
    default: str | None
    at: Range


class Command(msgspec.Struct, frozen=True):
    """What is to be run: a list of arguments, or, `for_shell`, one text for the shell and its heredocs."""

    words: tuple[str, ...]
    for_shell: bool
    at: Range
    heredocs: tuple[Heredoc, ...] = ()


class Written(msgspec.Struct, frozen=True):
    """How an instruction stands in the file. `code` is its line with the continuations joined; `at` includes heredocs."""

    keyword: str
    code: str
    at: Range
    comments: tuple[str, ...] = ()
    """the comment lines right above"""
    flags: tuple[Word, ...] = ()
    """`--name=value`, as written"""


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """What every instruction has."""

    written: Written

    @property
    def name(self) -> str:
        """The keyword in capitals."""
        return self.written.keyword.upper()

    @property
    def at(self) -> Range:
        """Where it stands."""
        return self.written.at


class From(Instruction, frozen=True, kw_only=True):
    """`FROM [--platform=…] base [AS stage]`; `stage` in lower case, "" for none."""

    base: Word
    stage: str = ""
    as_keyword: str = ""
    stage_written: str = ""
    platform: str = ""


class Arg(Instruction, frozen=True, kw_only=True):
    """`ARG name[=default] …`."""

    definitions: tuple[Definition, ...]


class Env(Instruction, frozen=True, kw_only=True):
    """`ENV name=value …` or `ENV name value`."""

    pairs: tuple[Pair, ...]


class Label(Instruction, frozen=True, kw_only=True):
    """`LABEL name=value …`."""

    pairs: tuple[Pair, ...]


class Maintainer(Instruction, frozen=True, kw_only=True):
    """`MAINTAINER text`: the image's author; deprecated."""

    author: str


class Copy(Instruction, frozen=True, kw_only=True):
    """`COPY [flags] source … destination`. `source` is the stage, index or image of `--from`, "" for the context."""

    paths: tuple[Word, ...]
    documents: tuple[Heredoc, ...]
    """files whose content stands in the Dockerfile, named by their heredoc's word"""
    destination: Word
    source: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


class Add(Instruction, frozen=True, kw_only=True):
    """`ADD [flags] source … destination`: as COPY, and URLs, git repositories and archives.

    `unpack` and `keep_git_dir` are None where the kind of source decides.
    """

    paths: tuple[Word, ...]
    documents: tuple[Heredoc, ...]
    destination: Word
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


class Run(Instruction, frozen=True, kw_only=True):
    """`RUN [flags] command`. `mounts` are as written: `mounts.parse_mount` reads one when its variables are known."""

    command: Command
    mounts: tuple[Word, ...] = ()
    network: str = "default"
    security: str = "sandbox"


class Cmd(Instruction, frozen=True, kw_only=True):
    """`CMD command`: what a container runs by default."""

    command: Command


class Entrypoint(Instruction, frozen=True, kw_only=True):
    """`ENTRYPOINT command`: what a container runs, CMD being its arguments."""

    command: Command


class Shell(Instruction, frozen=True, kw_only=True):
    """`SHELL ["program", "argument"]`: what runs the shell forms from here on."""

    words: tuple[str, ...]


class HealthCheck(Instruction, frozen=True, kw_only=True):
    """`HEALTHCHECK NONE` (`command` is None) or `HEALTHCHECK [flags] CMD command`; times in nanoseconds, 0 inherits."""

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Expose(Instruction, frozen=True, kw_only=True):
    """`EXPOSE port[-port][/protocol] …`."""

    ports: tuple[Word, ...]


class Volume(Instruction, frozen=True, kw_only=True):
    """`VOLUME path …` or `VOLUME ["path"]`."""

    paths: tuple[Word, ...]


class User(Instruction, frozen=True, kw_only=True):
    """`USER name[:group]`."""

    user: Word


class WorkDir(Instruction, frozen=True, kw_only=True):
    """`WORKDIR path`."""

    path: Word


class StopSignal(Instruction, frozen=True, kw_only=True):
    """`STOPSIGNAL signal`."""

    signal: Word


class OnBuild(Instruction, frozen=True, kw_only=True):
    """`ONBUILD instruction`: kept as text, for builds on top of the image."""

    trigger: str


class Stage(msgspec.Struct, frozen=True):
    """A FROM and what follows it. `index` counts from 0."""

    index: int
    start: From
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """Its name, or its index as text."""
        return self.start.stage or str(self.index)


class Dockerfile(msgspec.Struct, frozen=True):
    """The whole file. `arguments`: the ARGs above the first FROM. `blank_continuations`: see LogicalLine.blank."""

    directives: tuple[Directive, ...]
    escape: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    blank_continuations: tuple[Range, ...] = ()

    def directive(self, name: str) -> Directive | None:
        """The directive of that name, if it was given."""
        return next((one for one in self.directives if one.name == name), None)
