"""The images that a build stands on: found here, or brought from their registry."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from sampan.build.planning import Wish, missing_images
from sampan.build.request import BuildRequest
from sampan.dockerfile.arguments import platform_text
from sampan.dockerfile.instructions import Dockerfile
from sampan.dockerfile.stages import BaseImage
from sampan.errors import NotFound
from sampan.images.images import Images
from sampan.images.making import Making
from sampan.images.platforms import fits, parse_platform
from sampan.images.pulling import PullWish
from sampan.images.references import parse_any, parse_named
from sampan.images.siblings import sibling, stored_index
from sampan.images.steps import Cancellation, Cancelled, Report, Step
from sampan.registry.authconfig import credentials_for
from sampan.registry.protocol import Credentials
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Image, ImageConfig

T = TypeVar("T")
Told = Callable[[str, Step], None]
"""Hears, from any thread, how the pull of a reference goes on."""


class Lookup:
    """The images of one build, by the reference that the Dockerfile has. On the event loop.

    What was found is held by the build from that moment: a removal later takes nothing from it.
    """

    def __init__(self, images: Images, making: Making, request: BuildRequest, told: Told) -> None:
        self._images = images
        self._making = making
        self._request = request
        self._told = told
        self._found: dict[tuple[str, str], ImageId] = {}
        self._machine = request.wish.machines.build
        targets = {wish.machines.target for wish in request.wishes}
        self._at_home = targets == {self._machine}

    def found(self, reference: str, platform: str) -> ImageId:
        """An image that `find` has found."""
        return self._found[reference, platform]

    def document(self, reference: str, platform: str) -> Image:
        """The configuration of an image that was found."""
        return self._making.hold(self.found(reference, platform)).document

    async def all(self, dockerfile: Dockerfile, wish: Wish) -> Mapping[BaseImage, ImageConfig]:
        """The configurations of everything that the target stands on. Raises DockerfileError, SampanError."""
        configs: dict[BaseImage, ImageConfig] = {}
        # The triggers of one image may need others.
        while missing := missing_images(dockerfile, wish, configs):
            for base in missing:
                platform = base.platform or platform_text(wish.machines.target)
                await self.find(base.reference, platform)
                configs[base] = self.document(base.reference, platform).config or ImageConfig()
        return configs

    async def find(self, reference: str, platform: str) -> ImageId:
        """The image that is called so, pulled where it is not here or newer ones are wanted. Raises SampanError."""
        if (reference, platform) not in self._found:
            known = None if self._request.pull else await self._here(reference, platform)
            image = known if known is not None and self._holds(known) else await self._pulled(reference, platform)
            self._making.hold(image)
            self._found[reference, platform] = image
        return self._found[reference, platform]

    def _holds(self, image: ImageId) -> bool:
        """Whether it is held now; not where somebody has removed it since it was looked for."""
        try:
            self._making.hold(image)
        except NotFound:
            return False
        return True

    async def _here(self, reference: str, platform: str) -> ImageId | None:
        try:
            image = self._images.resolve(reference)
        except NotFound:
            return None
        if self._at_home and platform == platform_text(self._machine):
            # As in Docker: what is here under the name is meant, whatever machine it is for.
            return image
        catalog, wanted = self._images.catalog, parse_platform(platform)
        found = sibling(catalog, image, wanted)
        index = stored_index(catalog, image, wanted) if found is None else None
        if index is None:
            return found
        end = Cancellation()
        return await self._stoppable(
            partial(self._images.bring, index, index.digest, platform, self._step(reference), end), end
        )

    async def _pulled(self, reference: str, platform: str) -> ImageId:
        asked = parse_any(reference)
        if isinstance(asked, str):
            return self._images.resolve(reference)
        named = parse_named(reference, "").with_default_tag()
        end = Cancellation()
        foreign = not fits(self._machine, parse_platform(platform))
        asked_for = platform if foreign or platform != platform_text(self._machine) else ""
        # The name stays with the image that this machine can run.
        wish = PullWish(named, asked_for, self._credentials(named.domain), beside=foreign)
        brought = await self._stoppable(partial(self._images.pull, wish, self._step(reference), end), end)
        return brought or self._images.resolve(reference)

    def _step(self, reference: str) -> Report:
        return lambda step: self._told(reference, step)

    async def _stoppable(self, call: Callable[[], T], end: Cancellation) -> T:
        """The call's result, from another thread; when the build is called off, so is the call, and it is waited for."""
        waiting = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            end.cancel()
            with suppress(Cancelled):
                await waiting
            raise

    def _credentials(self, domain: str) -> Credentials:
        return credentials_for(self._request.credentials, domain)
