"""What is attested of a build's images: a bill of materials read from each tree, and how each was made."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sampan.build.outputs import provenance
from sampan.build.outputs.attestations import Statement
from sampan.build.outputs.manifests import Portion
from sampan.build.outputs.spdx import bill
from sampan.build.request import BuildRequest, Built, BuiltImage
from sampan.dockerfile.arguments import platform_text
from sampan.errors import InvalidParameter
from sampan.images.images import Images
from sampan.version import VERSION

_KINDS = ("sbom", "provenance")


@dataclass(frozen=True, slots=True)
class Attesting:
    """What a request wants said."""

    sbom: bool
    provenance: provenance.Wish | None

    def __bool__(self) -> bool:
        return self.sbom or self.provenance is not None


def parse(attests: Mapping[str, str]) -> Attesting:
    """`sbom` and `provenance` with the words behind them. Raises InvalidParameter."""
    if unknown := attests.keys() - set(_KINDS):
        raise InvalidParameter(f"unsupported attestation type {min(unknown)!r}: sbom or provenance")
    sbom = "sbom" in attests and attests["sbom"] != "disabled=true"
    return Attesting(sbom, provenance.parse(attests["provenance"]) if "provenance" in attests else None)


def portions(images: Images, request: BuildRequest, wanted: Attesting, built: Built, began: int) -> list[Portion]:
    """Each image with what is attested of it. Reads whole trees. `began`: nanoseconds since the epoch. Raises OSError."""
    found = []
    for number, one in enumerate(built.images):
        statements: list[Statement] = []
        if wanted.sbom:
            statements.append(_bill(images, request, one))
        if wanted.provenance is not None:
            statements.append(provenance.provenance(_facts(request, built, number, began), wanted.provenance))
        found.append(Portion(one.platform, one.image, statements))
    return found


def _bill(images: Images, request: BuildRequest, one: BuiltImage) -> Statement:
    # Here and not above: a daemon that attests nothing does without.
    from sampan.build.outputs.packages import Distribution, Inventory, inventory

    chain = images.chain(one.image)
    found = Inventory(Distribution(), ())
    if chain is not None:
        root = images.catalog.snapshots.view(chain)
        try:
            found = inventory(root)
        finally:
            os.close(root)
    at = request.clock if request.clock is not None else time.time_ns() // 10**9
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    return bill(found, one.image, next(iter(request.names), one.image), created, VERSION)


def _facts(request: BuildRequest, built: Built, number: int, began: int) -> provenance.Facts:
    one, target = built.images[number], built.graph.targets[number]
    wish = request.wish
    arguments = {f"build-arg:{name}": value for name, value in wish.given.items()}
    now = time.time_ns() if request.clock is None else request.clock * 10**9
    return provenance.Facts(
        identity=one.image.removeprefix("sha256:")[:25],
        file=request.file,
        arguments={**arguments, **({"target": wish.target} if wish.target else {})},
        platform=platform_text(one.platform),
        machine=platform_text(wish.machines.build),
        materials=provenance.materials(built.graph, target, built.contents),
        steps=provenance.steps(built.graph, target),
        started=min(began, now),
        finished=now,
    )
