"""The build cache: what of it goes, and cache mounts out and in."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import NO_CONTENT, Answer, Stream, json_response
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter
from sampan.spec.requests import BuildMountOptions, BuildPruneOptions

_TAR = "application/x-tar"
_IDS = 2**32 - 1


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove what is not in use; `keep-storage` is the older name of `reserved-space`."""
    form = request.form
    reserved = _bytes(request, "reserved-space") or _bytes(request, "keep-storage")
    options = BuildPruneOptions(
        form.flag("all"), reserved, _bytes(request, "max-used-space"), _bytes(request, "min-free-space"), form.filters()
    )
    return json_response(await backend.build_cache.prune(options))


async def mount_archive(request: Request, backend: Backend) -> Answer:
    """A cache mount's files as a tar."""
    return Stream(await backend.build_cache.mount_archive(request.form.text("id")), _TAR)


async def replace_mount(request: Request, backend: Backend) -> Answer:
    """A tar in the place of a cache mount's files."""
    form = request.form
    uid, gid = form.integer("uid") or 0, form.integer("gid") or 0
    if not (0 <= uid < _IDS and 0 <= gid < _IDS):
        raise InvalidParameter("uid and gid are 0 to 4294967294")
    options = BuildMountOptions(form.text("id"), _mode(form.text("mode")), uid, gid)
    await backend.build_cache.replace_mount(options, request.stream())
    return NO_CONTENT


def _mode(text: str) -> int:
    """Octal, as a Dockerfile has it."""
    if not text:
        return 0o755
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InvalidParameter(f"invalid mode {text!r}: it is octal, 0 to 7777")
    return mode


def _bytes(request: Request, name: str) -> int:
    """A number of bytes, 0 where it is missing. Raises InvalidParameter in Docker's words."""
    text = request.form.text(name)
    digits = text.removeprefix("-").removeprefix("+")
    if not text:
        return 0
    if not digits.isdecimal() or not digits.isascii():
        raise InvalidParameter(f'{name} is in bytes and expects an integer, got "{text}": invalid syntax')
    number = int(text)
    if abs(number) >= 1 << 63:
        raise InvalidParameter(f'{name} is in bytes and expects an integer, got "{text}": value out of range')
    return max(number, 0)


ROUTES = (
    Route("POST", "/build/prune", prune),
    Route("GET", "/build/sampan/mount", mount_archive, Support.OWN, "`sampan builder mount-export`", follows=True),
    Route("PUT", "/build/sampan/mount", replace_mount, Support.OWN, "`sampan builder mount-import`"),
)
