"""COPY and ADD: where the files come from, each kind of source an input of its own, and where they go."""

from collections.abc import Sequence
from typing import Protocol

from sampan.build.added import check_checksum, remote_source
from sampan.build.operations import ContextSource, Copy, DocumentSource, GitSource, Operation, Place, UrlSource
from sampan.dockerfile import instructions as tree
from sampan.dockerfile.configuration import joined_path
from sampan.dockerfile.faults import DockerfileError, Range
from sampan.dockerfile.variables import Expander
from sampan.spec.oci_image import ImageConfig


class Adding(Protocol):
    """Where vertices are gathered."""

    def add(self, operation: Operation, inputs: Sequence[Place], stage: str, text: str, at: Range) -> Place:
        """Where the operation stands."""


class _Sources:
    """The inputs of one COPY or ADD, and the paths of each."""

    def __init__(self, vertices: Adding, instruction: tree.Copy | tree.Add, stage: str) -> None:
        self._vertices = vertices
        self._instruction = instruction
        self._stage = stage
        self.inputs: list[Place] = []
        self.paths: list[tuple[str, ...]] = []

    def take(self, source: Operation, paths: Sequence[str]) -> None:
        written = self._instruction.written
        self.take_place(self._vertices.add(source, (), self._stage, written.code, written.at), paths)

    def take_place(self, place: Place, paths: Sequence[str]) -> None:
        self.inputs.append(place)
        self.paths.append(tuple(paths))


def plan_copy(
    vertices: Adding,
    instruction: tree.Copy | tree.Add,
    below: Place,
    source: Place | None,
    config: ImageConfig,
    expander: Expander,
    stage: str,
) -> Place:
    """The place of the tree with the files in it. `source` is that of `--from`, None for the context. Raises DockerfileError."""
    sources = _Sources(vertices, instruction, stage)
    paths = [expander.word(word) for word in instruction.paths]
    if isinstance(instruction, tree.Add):
        paths = _take_remotes(sources, instruction, paths, expander)
    if paths and source is not None:
        sources.take_place(source, paths)
    elif paths:
        parents = isinstance(instruction, tree.Copy) and instruction.parents
        sources.take(ContextSource(paths=tuple(paths), excludes=instruction.excludes, parents=parents), paths)
    if instruction.documents:
        files = tuple((one.mark.name, expander.document(one)) for one in instruction.documents)
        sources.take(DocumentSource(files=files), [name for name, _ in files])
    operation = Copy(
        paths=tuple(sources.paths),
        destination=_destination(instruction, config, expander),
        chown=expander.text(instruction.chown, instruction.at),
        chmod=expander.text(instruction.chmod, instruction.at),
        link=instruction.link,
        parents=isinstance(instruction, tree.Copy) and instruction.parents,
        excludes=instruction.excludes,
        unpack=instruction.unpack if isinstance(instruction, tree.Add) else False,
    )
    written = instruction.written
    return vertices.add(operation, (below, *sources.inputs), stage, written.code, written.at)


def _take_remotes(sources: _Sources, add: tree.Add, paths: Sequence[str], expander: Expander) -> list[str]:
    """Take what is remote; tells what is left for the context."""
    checksum = expander.text(add.checksum, add.at)
    local: list[str] = []
    remotes: list[UrlSource | GitSource] = []
    for path in paths:
        remote = remote_source(path, checksum, bool(add.keep_git_dir), add.at)
        if remote is None:
            local.append(path)
        else:
            remotes.append(remote)
    check_checksum(checksum, len(paths) + len(add.documents), remotes, add.at)
    for remote in remotes:
        sources.take(remote, ["."])
    return local


def _destination(instruction: tree.Copy | tree.Add, config: ImageConfig, expander: Expander) -> str:
    text = expander.word(instruction.destination)
    directory = text in ("", ".", "..") or text.endswith(("/", "/.", "/.."))
    if not directory and len(instruction.paths) + len(instruction.documents) > 1:
        what = f"When using {instruction.name} with more than one source file"
        raise DockerfileError(
            f"{what}, the destination must be a directory and end with a /", instruction.destination.at
        )
    path = joined_path(config.working_dir, text)
    return f"{path}/" if directory and path != "/" else path
