"""What `sampan run --explain` shows: the steps a start took. Sampan's own, not in Docker's API."""

from sampan.spec.document import Document, sent


class ExplainedStep(Document, frozen=True, rename="camel"):
    """One step: the principle it serves, what was done to what, when and for how long (microseconds), where it is written."""

    principle: str
    name: str
    operands: str = sent("")
    at_us: int = sent(0)
    took_us: int = sent(0)
    source: str = sent("")
