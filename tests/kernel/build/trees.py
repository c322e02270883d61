"""Trees made for a test, and what became of them."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sampan.build.operations import Copy
from sampan.build.tree.copying import apply_copy
from sampan.build.tree.source import DirectoryTree, Origin

Content = bytes | str | None
"""bytes: a file; text: a symbolic link to it; None: a directory."""


def grow(root: Path, files: Mapping[str, Content]) -> Path:
    """Make the files below `root`."""
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return root


def shown(root: Path) -> dict[str, Content]:
    """What is below `root`, as `grow` takes it; directories only where nothing is in them."""
    found: dict[str, Content] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_dir():
            if not list(path.iterdir()):
                found[name] = None
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = stat.filemode(path.lstat().st_mode)
    return found


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """A descriptor of the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def copy(
    source: Path,
    target: Path,
    *paths: str,
    to: str = "/",
    origin: Origin = Origin.CONTEXT,
    epoch: int | None = None,
    file: str = "",
    **members: object,
) -> None:
    """COPY `paths` of `source` to `to` in `target`."""
    target.mkdir(exist_ok=True)
    operation = Copy(paths=(paths,), destination=to, **members)  # type: ignore[arg-type]
    with opened(source) as tree, opened(target) as root:
        apply_copy(operation, [DirectoryTree(tree, "test", origin, file)], root, epoch=epoch)
