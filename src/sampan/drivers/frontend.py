"""Build front ends: other languages to say how an image is built, which are translated to a Dockerfile.

A file that begins with `# syntax=NAME`, NAME being an installed front end, is given to it instead of being read as a Dockerfile.
The calls are Sampan's own, in the form of Docker's plugin protocol. Entry points: `sampan.frontend`.
"""

from collections.abc import Mapping
from typing import Protocol

from sampan.drivers.calls import Call, Calls
from sampan.spec.document import Document, sent

KIND = "BuildFrontEnd"


class FrontEnd(Protocol):
    """Called from several threads at once."""

    def translate(self, source: str, arguments: Mapping[str, str]) -> str:
        """The Dockerfile that means the same as `source`; `arguments` are the user's `--build-arg`.

        The same input gives the same output: builds are cached by it. What it raises is told to the user as it reads.
        """
        ...


class Source(Document, frozen=True):
    """What is to be translated, as it is asked for."""

    source: str = ""
    arguments: dict[str, str] | None = None


class Translated(Document, frozen=True):
    """The answer."""

    dockerfile: str = sent("")


def calls(driver: FrontEnd) -> Calls:
    """What Sampan asks of a front end, answered by `driver`."""
    return {
        f"{KIND}.Translate": Call(
            Source, lambda asked: Translated(driver.translate(asked.source, asked.arguments or {}))
        )
    }
