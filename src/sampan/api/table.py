"""Every route there is."""

from sampan.api.routes import absent, containers, create, execs, files, images, networks, streams, system, volumes
from sampan.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *create.ROUTES,
    *containers.ROUTES,
    *files.ROUTES,
    *streams.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *volumes.ROUTES,
    *networks.ROUTES,
    *absent.ROUTES,
)
