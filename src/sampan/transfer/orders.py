"""What daemon and porter say to each other, one packet each over SOCK_SEQPACKET.

    daemon ── order, with the descriptor of its JSON and those of the view ──▶ porter
           ◀── {"stat": …} (READ and STAT) ── then the archive over a pipe
           ◀── {"done": true} or {"failed": KIND, "message": …, "errno": …}

An order is {"act", "path", "running", "places", "readonly", "keep_kinds", "user"}; text is surrogateescape.
"""

STAT, READ, WRITE, EXPORT, HOLD = "stat", "read", "write", "export", "hold"
"""What can be asked: about a path, for a tar of it, to unpack a tar into it, for a tar of the root without its mounts; and to
stay with that root until the daemon closes its end, so that it can be looked at in /proc/PID/root."""

MISSING, NOT_A_DIRECTORY, READ_ONLY_ROOT, READ_ONLY_MOUNT, ARCHIVE, USER, HOST = (
    "missing",
    "not-a-directory",
    "read-only-root",
    "read-only-mount",
    "archive",
    "user",
    "host",
)
"""Why it was not done."""

INPUT, OUTPUT, CONTROL = 0, 1, 3
"""The porter's descriptors."""

MESSAGE = 1 << 16
ORDER_LIMIT = 4 << 20
"""Bytes of an order: two hundred places of 4096 bytes, escaped."""
MOST_DESCRIPTORS = 250
