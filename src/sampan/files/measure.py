"""How much a tree of files holds."""

import stat

from sampan.files.walk import walk


def measure(directory: int) -> tuple[int, int]:
    """Bytes of files and links below `directory`, each inode once; and the number of inodes; directories count as inodes only."""
    size = inodes = 0
    linked: set[int] = set()
    for _, _, _, status in walk(directory):
        if stat.S_ISDIR(status.st_mode):
            inodes += 1
            continue
        if status.st_nlink > 1:
            if status.st_ino in linked:
                continue
            linked.add(status.st_ino)
        inodes += 1
        size += status.st_size
    return size, inodes
