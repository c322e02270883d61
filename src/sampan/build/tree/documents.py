"""Documents of a Dockerfile (`COPY <<name`): each becomes a file."""

import os

from sampan.build.operations import DocumentSource
from sampan.build.tree.source import DirectoryTree, Origin, SourceTree
from sampan.files.paths import check_component
from sampan.files.writing import write_all

_MODE = 0o644
_NEW = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW


def write_documents(source: DocumentSource, into: int, *, epoch: int | None = None) -> SourceTree:
    """The files of `source`, made in the empty directory `into`, a descriptor that becomes the tree's root.

    Of two with one name the later counts. `epoch` in nanoseconds is their time; without it they are of now. Raises BadPath for a
    name that is none of a file, OSError.
    """
    for name, content in source.files:
        descriptor = os.open(check_component(os.fsencode(name)), _NEW | os.O_TRUNC, 0o600, dir_fd=into)
        try:
            write_all(descriptor, content.encode("utf-8", "surrogateescape"))
            os.fchmod(descriptor, _MODE)
            if epoch is not None:
                os.utime(descriptor, ns=(epoch, epoch))
        finally:
            os.close(descriptor)
    return DirectoryTree(into, "inline document", Origin.DOCUMENTS)
