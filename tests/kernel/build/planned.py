"""A Dockerfile without RUN carried out on directories: every tree a copy of its own, no layers, no cache."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from sampan.build.operations import (
    ContextSource,
    Copy,
    DocumentSource,
    EmptySource,
    Graph,
    MakeDirectory,
    Metadata,
    Place,
)
from sampan.build.planning import Wish, plan
from sampan.build.tree.context import Context, unpack_context
from sampan.build.tree.copying import apply_copy
from sampan.build.tree.directory import make_directory
from sampan.build.tree.documents import write_documents
from sampan.build.tree.source import DirectoryTree, Origin, SourceTree
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.parse import parse
from sampan.spec.oci_image import Platform
from tests.kernel.build.trees import opened

_AMD64 = Platform("amd64", "linux")


def build(dockerfile: str, stream: BinaryIO, place: Path) -> Path:
    """The tree of the Dockerfile's last stage, made below the empty directory `place`."""
    graph = plan(parse(dockerfile), Wish(Machines(_AMD64, _AMD64)), {})
    (place / "context").mkdir()
    with opened(place / "context") as into, unpack_context(stream, into) as context:
        return _Building(graph, context, place).run()


class _Building:
    def __init__(self, graph: Graph, context: Context, place: Path) -> None:
        self._graph = graph
        self._context = context
        self._place = place
        self._trees: list[Path] = []

    def run(self) -> Path:
        for number, vertex in enumerate(self._graph.vertices):
            inputs = [self._trees[place] for place in vertex.inputs]
            path = self._place / str(number)
            operation = vertex.operation
            if isinstance(operation, ContextSource):
                self._context.digest(operation.paths, operation.excludes, operation.parents)
                path.mkdir()
            elif inputs:
                subprocess.run(["cp", "-a", inputs[0], path], check=True)
            else:
                path.mkdir()
            with opened(path) as root:
                match operation:
                    case DocumentSource():
                        write_documents(operation, root)
                    case MakeDirectory():
                        make_directory(operation, root)
                    case Copy():
                        self._copy(operation, root, vertex.inputs[1:])
                    case EmptySource() | ContextSource() | Metadata():
                        pass
                    case _:
                        raise NotImplementedError(type(operation).__name__)
            self._trees.append(path)
        return self._trees[self._graph.targets[0].result]

    def _copy(self, operation: Copy, root: int, places: Sequence[Place]) -> None:
        with ExitStack() as stack:
            apply_copy(operation, [self._source(place, stack) for place in places], root)

    def _source(self, place: Place, stack: ExitStack) -> SourceTree:
        operation = self._graph.vertices[place].operation
        if isinstance(operation, ContextSource):
            return self._context.tree(operation.paths, operation.excludes, operation.parents)
        origin = Origin.DOCUMENTS if isinstance(operation, DocumentSource) else Origin.STAGE
        return DirectoryTree(stack.enter_context(opened(self._trees[place])), "test", origin)
