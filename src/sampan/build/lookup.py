"""The images that a build stands on: found here, or brought from their registry."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from sampan.build.planning import missing_images
from sampan.build.request import BuildRequest
from sampan.dockerfile.arguments import platform_text
from sampan.dockerfile.instructions import Dockerfile
from sampan.errors import NotFound
from sampan.images.images import Images
from sampan.images.platforms import fits, machine_architecture, parse_platform
from sampan.images.pulling import PullWish
from sampan.images.references import parse_any, parse_named
from sampan.images.steps import Cancellation, Cancelled, Step
from sampan.registry.protocol import Credentials
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Image, ImageConfig, Platform

Told = Callable[[str, Step], None]
"""Hears, from any thread, how the pull of a reference goes on."""


class Lookup:
    """The images of one build, by the reference that the Dockerfile has. On the event loop."""

    def __init__(self, images: Images, request: BuildRequest, told: Told) -> None:
        self._images = images
        self._request = request
        self._told = told
        self._found: dict[tuple[str, str], ImageId] = {}

    def found(self, reference: str, platform: str = "") -> ImageId:
        """An image that `find` has found."""
        return self._found[reference, self._other(platform)]

    def document(self, reference: str, platform: str = "") -> Image:
        """The configuration of an image that was found."""
        return self._images.document(self.found(reference, platform))

    def _other(self, platform: str) -> str:
        """The platform, where it is not the one that is built for anyhow."""
        return "" if platform == platform_text(self._request.wish.machines.target) else platform

    async def all(self, dockerfile: Dockerfile) -> Mapping[str, ImageConfig]:
        """The configurations of everything that the target stands on. Raises DockerfileError, SampanError."""
        configs: dict[str, ImageConfig] = {}
        # The triggers of one image may need others.
        while missing := missing_images(dockerfile, self._request.wish, configs):
            for reference in missing:
                await self.find(reference)
                configs[reference] = self.document(reference).config or ImageConfig()
        return configs

    async def find(self, reference: str, platform: str = "") -> ImageId:
        """The image that is called so, pulled where it is not here or newer ones are wanted. Raises SampanError."""
        platform = self._other(platform)
        if (reference, platform) not in self._found:
            known = None if self._request.pull else self._here(reference, platform)
            self._found[reference, platform] = known or await self._pulled(reference, platform)
        return self._found[reference, platform]

    def _here(self, reference: str, platform: str) -> ImageId | None:
        try:
            image = self._images.resolve(reference)
        except NotFound:
            return None
        machines = self._request.wish.machines
        if not platform and machines.target == machines.build:
            # As in Docker: what is here under the name is meant, whatever machine it is for.
            return image
        document = self._images.document(image)
        wanted = parse_platform(platform) if platform else machines.target
        own = Platform(
            document.architecture or machine_architecture(), document.os or "linux", variant=document.variant
        )
        return image if fits(own, wanted) else None

    async def _pulled(self, reference: str, platform: str) -> ImageId:
        asked = parse_any(reference)
        if isinstance(asked, str):
            return self._images.resolve(reference)
        named = parse_named(reference, "").with_default_tag()
        machines = self._request.wish.machines
        if not platform and machines.target != machines.build:
            platform = platform_text(machines.target)
        end = Cancellation()
        wish = PullWish(named, platform, self._credentials(named.domain))
        pulling = asyncio.get_running_loop().run_in_executor(
            None, self._images.pull, wish, lambda step: self._told(reference, step), end
        )
        try:
            await asyncio.shield(pulling)
        except asyncio.CancelledError:
            end.cancel()
            with suppress(Cancelled):
                await pulling
            raise
        return self._images.resolve(reference)

    def _credentials(self, domain: str) -> Credentials:
        known = self._request.credentials
        hosts = (domain, *_DOCKER_HUB) if domain == "docker.io" else (domain,)
        return next((known[host] for host in hosts if host in known), Credentials())


_DOCKER_HUB = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
"""What clients' files call the registry of images that name none."""
