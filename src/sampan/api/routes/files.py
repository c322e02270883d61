"""Files in containers: copied out, copied in, compared, exported, and made into images."""

from sampan.api.backend import Backend
from sampan.api.request import Request
from sampan.api.responses import EMPTY, NO_CONTENT, Answer, Response, Stream, json_response
from sampan.api.routing import Route, Support
from sampan.errors import InvalidParameter
from sampan.spec.containers import ContainerConfig
from sampan.spec.decoding import Reader
from sampan.spec.requests import CommitOptions, ExtractOptions

_TAR = "application/x-tar"
_CONFIG = Reader(ContainerConfig)
_STAT = "X-Docker-Container-Path-Stat"


def _path(request: Request) -> str:
    path = request.form.text("path")
    if not path:
        # Docker's own text, which lacks a blank.
        raise InvalidParameter("bad parameter: pathcannot be empty")
    return path


async def stat(request: Request, backend: Backend) -> Answer:
    """What stands at a path, in a header."""
    found = await backend.files.stat(request.name, _path(request))
    return Response(200, content_type="", headers=((_STAT, found),))


async def mount(request: Request, backend: Backend) -> Answer:
    """Let root see its file system."""
    return json_response(await backend.files.mount(request.name))


async def umount(request: Request, backend: Backend) -> Answer:
    """Take that back."""
    await backend.files.umount(request.name)
    return NO_CONTENT


async def mounted(_: Request, backend: Backend) -> Answer:
    """Where whose file system is to be seen."""
    return json_response(list(backend.files.mounted()))


async def read(request: Request, backend: Backend) -> Answer:
    """A tar of it."""
    found = await backend.files.read(request.name, _path(request))
    return Stream(found.pieces, _TAR, headers=((_STAT, found.stat),))


async def write(request: Request, backend: Backend) -> Answer:
    """Unpack the tar that is sent."""
    form = request.form
    options = ExtractOptions(_path(request), form.flag("noOverwriteDirNonDir"), form.flag("copyUIDGID"))
    await backend.files.write(request.name, options, request.stream())
    return EMPTY


async def export(request: Request, backend: Backend) -> Answer:
    """A tar of the whole root."""
    return Stream(await backend.files.export(request.name), "application/octet-stream")


async def changes(request: Request, backend: Backend) -> Answer:
    """What differs from the image."""
    return json_response(await backend.files.changes(request.name))


async def commit(request: Request, backend: Backend) -> Answer:
    """Make an image of a container. A body is not required."""
    form = request.form
    request.check_json()
    body = await request.read()
    config = _CONFIG.read(body) if body.strip() not in (b"", b"null") else None
    options = CommitOptions(
        container=form.text("container"),
        repository=form.text("repo"),
        tag=form.text("tag"),
        author=form.text("author"),
        comment=form.text("comment"),
        pause=form.flag("pause", True),
        changes=form.all("changes"),
    )
    return json_response(await backend.files.commit(options, config), 201)


ROUTES = (
    Route("POST", "/containers/{name}/sampan/mount", mount, Support.OWN, "`sampan mount`"),
    Route("DELETE", "/containers/{name}/sampan/mount", umount, Support.OWN, "`sampan umount`"),
    Route("GET", "/sampan/mounts", mounted, Support.OWN, "`sampan mount` without a name"),
    Route("HEAD", "/containers/{name}/archive", stat, follows=True),
    Route("GET", "/containers/{name}/archive", read, follows=True),
    Route("PUT", "/containers/{name}/archive", write),
    Route("GET", "/containers/{name}/changes", changes),
    Route("POST", "/commit", commit),
    Route("GET", "/containers/{name}/export", export, follows=True),
)
