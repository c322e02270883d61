"""What `POST /sampan/check` answers with: lines of JSON, one member set in each."""

from sampan.spec.document import Document, Int64, sent


class CheckProgress(Document, frozen=True):
    """Bytes that were examined, of how many."""

    current: Int64 = sent(0)
    total: Int64 = sent(0)


class CheckFinding(Document, frozen=True):
    """One fault. `kind`: disk, blob, layer, image, name, orphan or stray. `remedy`: what was done or is to be done."""

    kind: str = sent("")
    name: str = sent("")
    images: tuple[str, ...] = sent(())
    problem: str = sent("")
    remedy: str = sent("")
    repaired: bool = sent(False)


class CheckVerdict(Document, frozen=True):
    """The last line: how much was looked at, what was found, and how much of that is repaired."""

    images: int = sent(0)
    blobs: int = sent(0)
    layers: int = sent(0)
    findings: int = sent(0)
    repaired: int = sent(0)


class CheckStep(Document, frozen=True):
    """One line."""

    progress: CheckProgress | None = None
    finding: CheckFinding | None = None
    verdict: CheckVerdict | None = None
