"""Entry point of the shipper's process: `logs.shipping`, which also knows drivers that are plugins."""

from sampan.logs.shipping import shipper
from sampan.logs.shipping.jobs import Job
from sampan.logs.shipping.senders import Sender


def _sender(job: Job) -> Sender:
    # Only where a container has such a driver: most shippers never do.
    from sampan.plugins.log_sender import sender

    return sender(job)


def main() -> None:
    """See `logs.shipping.shipper.main`."""
    shipper.main(_sender)
