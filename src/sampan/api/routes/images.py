"""Images."""

from collections.abc import AsyncIterator

import msgspec

from sampan.api.backend import Backend
from sampan.api.platforms import platform_of_json, platform_of_text
from sampan.api.progress import in_stream, or_failure
from sampan.api.request import Request
from sampan.api.responses import Answer, Response, Stream, json_response
from sampan.api.routing import Route
from sampan.api.versions import Version
from sampan.errors import InvalidParameter
from sampan.spec.images import ImageInspect, ImageSummary
from sampan.spec.requests import ImageListOptions, ImportOptions, PullOptions, PushOptions

_TAR = "application/x-tar"


async def list_all(request: Request, backend: Backend) -> Answer:
    """Images, newest first."""
    form, version = request.form, request.version
    filters = form.filters()
    if version < (1, 41) and form.text("filter"):
        filters = {**filters, "reference": (*filters.get("reference", ()), form.text("filter"))}
    options = ImageListOptions(
        all=form.flag("all"),
        shared_size=form.flag("shared-size") and version >= (1, 42),
        digests=form.flag("digests"),
        manifests=form.flag("manifests") and version >= (1, 47),
        filters=filters,
    )
    return json_response([_summary_for(image, version) for image in await backend.images.list(options)])


def _summary_for(image: ImageSummary, version: Version) -> ImageSummary:
    replace = msgspec.structs.replace
    if version < (1, 51):
        image = replace(image, containers=-1)
    if version < (1, 48):
        image = replace(image, descriptor=None)
    if version < (1, 44):
        image = replace(image, virtual_size=image.size)
    if version < (1, 43) and not image.repo_tags and not image.repo_digests:
        image = replace(image, repo_tags=("<none>:<none>",), repo_digests=("<none>@<none>",))
    return image


async def inspect(request: Request, backend: Backend) -> Answer:
    """Everything about one image."""
    form, version = request.form, request.version
    manifests = form.flag("manifests") and version >= (1, 48)
    platform = platform_of_json(form.text("platform")) if version >= (1, 49) else ""
    if manifests and platform:
        raise InvalidParameter("conflicting options: manifests and platform options cannot both be set")
    return json_response(_inspect_for(await backend.images.inspect(request.name, manifests, platform), version))


def _inspect_for(image: ImageInspect, version: Version) -> ImageInspect:
    replace = msgspec.structs.replace
    if version < (1, 50) and image.config is not None:
        config = replace(
            image.config,
            hostname="",
            domainname="",
            attach_stdin=False,
            attach_stdout=False,
            attach_stderr=False,
            tty=False,
            open_stdin=False,
            stdin_once=False,
            image="",
        )
        image = replace(image, config=config)
    if version < (1, 48):
        image = replace(image, descriptor=None)
    if version < (1, 44):
        image = replace(image, virtual_size=image.size, created=image.created or "0001-01-01T00:00:00Z")
    return image


async def history(request: Request, backend: Backend) -> Answer:
    """How it came to be."""
    platform = platform_of_json(request.form.text("platform")) if request.version >= (1, 48) else ""
    return json_response(await backend.images.history(request.name, platform))


def _archive_platform(request: Request) -> str:
    if request.version < (1, 48):
        return ""
    given = request.form.all("platform")
    if len(given) > 1:
        raise InvalidParameter("multiple platform parameters not supported")
    return platform_of_json(given[0]) if given else ""


async def load(request: Request, backend: Backend) -> Answer:
    """Take in an archive. Whatever goes wrong is told within the stream, as Docker does."""
    platform = _archive_platform(request)
    return Stream(in_stream(backend.images.load(request.stream(), request.form.flag("quiet", True), platform)))


async def create(request: Request, backend: Backend) -> Answer:
    """Pull from a registry, or import a root file system."""
    form = request.form
    platform = platform_of_text(form.text("platform")) if request.version >= (1, 32) else ""
    if form.text("fromImage"):
        # Pulling only tells: when its client has gone it is called off. An import is the client's own body.
        request.follows = True
        wanted = PullOptions(form.text("fromImage"), form.text("tag"), platform, _credentials(request))
        return await or_failure(backend.images.pull(wanted))
    source = form.text("fromSrc")
    options = ImportOptions(
        repository=form.text("repo"),
        tag=form.text("tag"),
        message=form.text("message") or f"Imported from {source}",
        changes=form.all("changes"),
        platform=platform,
    )
    if source == "-":
        return await or_failure(backend.images.import_archive(request.stream(), options))
    request.follows = True
    url = source if "://" in source else f"http://{source}"
    return await or_failure(backend.images.import_url(url, options))


def _credentials(request: Request) -> str:
    return request.headers.get(b"x-registry-auth", b"").decode("latin-1")


async def push(request: Request, backend: Backend) -> Answer:
    """Send an image to a registry."""
    form = request.form
    platform = platform_of_json(form.text("platform")) if request.version >= (1, 46) else ""
    wanted = PushOptions(request.name, form.text("tag"), platform, _credentials(request))
    return await or_failure(backend.images.push(wanted))


async def tag(request: Request, backend: Backend) -> Answer:
    """Give it one more name."""
    await backend.images.tag(request.name, request.form.text("repo"), request.form.text("tag"))
    return Response(201, content_type="")


async def remove(request: Request, backend: Backend) -> Answer:
    """Take a name away, or the image."""
    if not request.name.strip():
        raise InvalidParameter("image name cannot be blank")
    form = request.form
    platforms = [platform_of_json(text) for text in form.all("platforms")] if request.version >= (1, 50) else []
    if len(platforms) > 1:
        raise InvalidParameter("multiple platforms are not supported")
    platform = platforms[0] if platforms else ""
    return json_response(
        await backend.images.remove(request.name, form.flag("force"), not form.flag("noprune"), platform)
    )


async def save_one(request: Request, backend: Backend) -> Answer:
    """An archive of one image."""
    return await _save(request, backend, (request.name,))


async def save_many(request: Request, backend: Backend) -> Answer:
    """An archive of several."""
    return await _save(request, backend, request.form.all("names"))


async def _save(request: Request, backend: Backend, names: tuple[str, ...]) -> Answer:
    chunks: AsyncIterator[bytes] = await backend.images.save(names, _archive_platform(request))
    return Stream(chunks, _TAR)


async def prune(request: Request, backend: Backend) -> Answer:
    """Remove what nothing uses."""
    return json_response(await backend.images.prune(request.form.filters()))


ROUTES = (
    Route("GET", "/images/json", list_all),
    Route("GET", "/images/{name}/json", inspect),
    Route("GET", "/images/{name}/history", history),
    Route("POST", "/images/load", load),
    Route(
        "POST",
        "/images/create",
        create,
    ),
    Route("POST", "/images/{name}/push", push, follows=True),
    Route("POST", "/images/{name}/tag", tag),
    Route("DELETE", "/images/{name}", remove),
    Route("GET", "/images/{name}/get", save_one, follows=True),
    Route("GET", "/images/get", save_many, follows=True),
    Route("POST", "/images/prune", prune),
)
