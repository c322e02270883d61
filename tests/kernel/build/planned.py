"""A Dockerfile without RUN carried out on directories: every tree a copy of its own, no layers, no cache."""

import os
import subprocess
from pathlib import Path
from typing import BinaryIO

from sampan.build.operations import ContextSource, Copy, DocumentSource, EmptySource, Graph, MakeDirectory, Metadata
from sampan.build.planning import Wish, plan
from sampan.build.tree.context import Context, unpack_context
from sampan.build.tree.copying import apply_copy
from sampan.build.tree.directory import make_directory
from sampan.build.tree.documents import write_documents
from sampan.build.tree.source import Origin, SourceTree
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
                members = (operation.paths, operation.excludes, operation.parents)
                self._context.digest(*members)
                self._context.tree(*members)
                path = self._place / "context/tree"
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
                        origins = [self._origin(place) for place in vertex.inputs[1:]]
                        self._copy(operation, root, inputs[1:], origins)
                    case EmptySource() | ContextSource() | Metadata():
                        pass
                    case _:
                        raise NotImplementedError(type(operation).__name__)
            self._trees.append(path)
        return self._trees[self._graph.result]

    def _origin(self, place: int) -> Origin:
        operation = self._graph.vertices[place].operation
        if isinstance(operation, ContextSource):
            return Origin.CONTEXT
        return Origin.DOCUMENTS if isinstance(operation, DocumentSource) else Origin.STAGE

    def _copy(self, operation: Copy, root: int, paths: list[Path], origins: list[Origin]) -> None:
        descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in paths]
        try:
            pairs = zip(descriptors, origins, strict=True)
            apply_copy(operation, [SourceTree(descriptor, "test", origin) for descriptor, origin in pairs], root)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
