"""Every route there is."""

from sampan.api.routes import (
    absent,
    build,
    build_cache,
    buildkit,
    checkpoints,
    containers,
    create,
    execs,
    files,
    images,
    networks,
    plugins,
    registries,
    streams,
    system,
    volumes,
)
from sampan.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *create.ROUTES,
    *containers.ROUTES,
    *checkpoints.ROUTES,
    *files.ROUTES,
    *streams.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *build.ROUTES,
    *registries.ROUTES,
    *volumes.ROUTES,
    *build_cache.ROUTES,
    *buildkit.ROUTES,
    *networks.ROUTES,
    *plugins.ROUTES,
    *absent.ROUTES,
)
