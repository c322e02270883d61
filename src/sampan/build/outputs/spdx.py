"""A bill of materials as SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/). Pure: the same tree, the same document."""

import hashlib
import re
from typing import Any
from urllib.parse import quote

import msgspec

from sampan.build.outputs.attestations import SPDX, Statement
from sampan.build.outputs.packages import Distribution, Inventory, Package
from sampan.spec.ids import ImageId

_NOTHING = "NOASSERTION"
_EXPRESSION = re.compile(r"\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*)*")
_DOCUMENT = "SPDXRef-DOCUMENT"
_ROOT = "SPDXRef-Image"


def bill(found: Inventory, image: ImageId, name: str, created: str, version: str) -> Statement:
    """What is in the image. `name` is what it is called; `created` RFC 3339 in seconds; `version` of this program."""
    packages = [_package(one, found.distribution) for one in found.packages]
    digest = image.removeprefix("sha256:")
    top = {
        "SPDXID": _ROOT,
        "name": name,
        "versionInfo": image,
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING,
        "licenseDeclared": _NOTHING,
        "copyrightText": _NOTHING,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
    }
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": name,
        "documentNamespace": f"urn:sampan:spdx:{digest}",
        "creationInfo": {"created": created, "creators": [f"Tool: sampan-{version}"]},
        "packages": [top, *packages],
        "relationships": [
            _relation(_DOCUMENT, "DESCRIBES", _ROOT),
            *(_relation(_ROOT, "CONTAINS", str(one["SPDXID"])) for one in packages),
        ],
    }
    if found.unread:
        document["comment"] = "not read: " + "; ".join(found.unread)
    return Statement(SPDX, document)


def _relation(element: str, kind: str, related: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


def _package(package: Package, distribution: Distribution) -> dict[str, Any]:
    licence = package.license if _EXPRESSION.fullmatch(package.license) else _NOTHING
    return {
        "SPDXID": "SPDXRef-Package-" + hashlib.sha256(msgspec.json.encode(package)).hexdigest()[:16],
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING,
        "licenseDeclared": licence,
        "copyrightText": _NOTHING,
        "sourceInfo": f"found in {package.origin}",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_url(package, distribution),
            }
        ],
    }


def package_url(package: Package, distribution: Distribution) -> str:
    """https://github.com/package-url/purl-spec: `pkg:deb/debian/curl@8.5.0-2?arch=amd64&distro=debian-12`."""
    if package.kind == "pypi":
        return f"pkg:pypi/{_part(re.sub('[-_.]+', '-', package.name).lower())}@{_part(package.version)}"
    space = {"deb": "debian", "apk": "alpine", "rpm": "redhat"}[package.kind]
    epoch, colon, rest = package.version.partition(":")
    words = {"arch": package.architecture}
    version = package.version
    if package.kind == "rpm" and colon:
        version, words["epoch"] = rest, epoch
    if distribution.id:
        words["distro"] = f"{distribution.id}-{distribution.version}".rstrip("-")
    if package.source and package.source != package.name:
        words["upstream"] = package.source
    told = "&".join(f"{key}={_part(words[key])}" for key in sorted(words) if words[key])
    return f"pkg:{package.kind}/{_part(distribution.id or space)}/{_part(package.name)}@{_part(version)}?{told}".rstrip(
        "?"
    )


def _part(text: str) -> str:
    return quote(text, safe=":.-_~")
