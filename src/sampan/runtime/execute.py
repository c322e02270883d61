"""The last steps: limits, working directory, finding the program, execve.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.kernel.files import Resolve, openat2
from sampan.kernel.process import execve, prlimit
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT_ERROR = 255


def rlimits(_context: Context, limits: list[list[int]]) -> None:
    """Resource limits `[number, soft, hard]`, -1 for unlimited; raising one above the engine's needs CAP_SYS_RESOURCE."""
    for number, soft, hard in limits:
        try:
            prlimit(number, soft, hard)
        except PermissionError as error:
            raise StepFailed(
                "other",
                f"error setting rlimit type {number}: operation not permitted: {soft}:{hard} needs CAP_SYS_RESOURCE",
                errno.EPERM,
            ) from error


def umask(_context: Context, mask: int) -> None:
    """The bits that files of the program's making do not get."""
    os.umask(mask)


def make_workdir(_context: Context, path: str) -> None:
    """The working directory is made if the image has none; it is reached only through the container's root."""
    from_root = os.fsencode(path)
    walked = b""
    for part in from_root.split(b"/"):
        if not part:
            continue
        walked += b"/" + part
        try:
            os.mkdir(walked, 0o755)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno in (errno.EROFS, errno.ENOTDIR):
                break
            raise


def workdir(_context: Context, path: str) -> None:
    """The working directory; a magic link such as /proc/self/fd/7 is refused (CVE-2024-21626)."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_PATH | os.O_DIRECTORY
        descriptor = openat2(root, os.fsencode(path), flags, Resolve.IN_ROOT | Resolve.NO_MAGICLINKS)
        os.fchdir(descriptor)
        os.close(descriptor)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StepFailed(
            "bad-workdir", f"chdir to cwd ({path!r}) set in config.json failed: {reason}", error.errno or 0
        ) from error
    finally:
        os.close(root)
    if not os.getcwdb().startswith(b"/"):
        raise StepFailed("bad-workdir", "current working directory is outside of container mount namespace root")


def find(context: Context, arguments: list[str], environment: list[str]) -> None:
    """The program: as it is with a slash in its name, else by the container's PATH. Fails as Docker words it."""
    name = arguments[0]
    context.environment = [os.fsencode(entry) for entry in environment]
    if not any(entry.startswith(b"HOME=") for entry in context.environment):
        context.environment.append(b"HOME=" + context.home)
    if "/" in name:
        candidate = os.fsencode(name)
        number = _why_not(candidate)
        if number == 0:
            context.program = candidate
            return
        if number == errno.ENOENT:
            raise StepFailed("not-found", f'exec: "{name}": stat {name}: no such file or directory', number)
        raise StepFailed("not-executable", f'exec: "{name}": {_go_text(number)}', number)
    denied = 0
    for directory in _search_path(context.environment):
        candidate = directory + b"/" + os.fsencode(name)
        number = _why_not(candidate)
        if number == 0:
            context.program = candidate
            return
        if number == errno.EACCES:
            denied = number
    if denied:
        raise StepFailed("not-executable", f'exec: "{name}": permission denied', denied)
    raise StepFailed("not-found", f'exec: "{name}": executable file not found in $PATH', errno.ENOENT)


def _search_path(environment: list[bytes]) -> list[bytes]:
    for entry in environment:
        if entry.startswith(b"PATH="):
            return [part or b"." for part in entry[5:].split(b":")]
    return []


def _why_not(path: bytes) -> int:
    """0 where `path` can be executed by who we are now, else the error number that says why not."""
    try:
        seen = os.stat(path)
    except OSError as error:
        return error.errno or errno.ENOENT
    if stat.S_ISDIR(seen.st_mode):
        return errno.EISDIR
    # Root passes access(2) with any execute bit; without one, execve fails for root too.
    return 0 if os.access(path, os.X_OK, effective_ids=False) else errno.EACCES


def _go_text(number: int) -> str:
    return {errno.EACCES: "permission denied", errno.EISDIR: "is a directory"}.get(number, os.strerror(number).lower())


def arguments(context: Context, words: list[str]) -> None:
    """The program's arguments, as bytes."""
    context.arguments = [os.fsencode(word) for word in words]


def execute(context: Context) -> None:
    """execve(2). Returns only by raising; a file of no known format ends this process as Docker's containers end then."""
    try:
        execve(context.program, context.arguments, context.environment)
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            name = context.arguments[0]
            os.write(2, b"exec " + name + b": exec format error\n")
            os._exit(_FORMAT_ERROR)
        fault = "not-found" if error.errno == errno.ENOENT else "not-executable"
        name_text = os.fsdecode(context.arguments[0])
        raise StepFailed(
            fault, f'exec: "{name_text}": {os.strerror(error.errno or 0).lower()}', error.errno or 0
        ) from error


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "rlimits": ("control groups", rlimits),
    "umask": ("runtime environment", umask),
    "make_workdir": ("runtime environment", make_workdir),
    "workdir": ("runtime environment", workdir),
    "find": ("runtime environment", find),
    "arguments": ("runtime environment", arguments),
}
"""Name in a plan → principle and function."""
