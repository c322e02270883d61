"""Health checks: what is asked for, and what was found."""

from sampan.spec.document import Document, Int64, Names, sent


class HealthConfig(Document, frozen=True):
    """How to test a container. Times in nanoseconds; 0 inherits. `test` is NONE, CMD args…, or CMD-SHELL line."""

    test: Names | None = None
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class HealthcheckResult(Document, frozen=True):
    """One run of the check. Times in RFC 3339 with nanoseconds."""

    start: str = sent("")
    end: str = sent("")
    exit_code: int = sent(0)
    output: str = sent("")


class Health(Document, frozen=True):
    """`status` is none, starting, healthy or unhealthy; `log` holds the last five results, oldest first."""

    status: str = sent("")
    failing_streak: int = sent(0)
    log: tuple[HealthcheckResult, ...] | None = sent(None)
