"""When a container that ended is started again, and after how long: pure, in Docker's rules."""

import msgspec

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
LONG_RUN = 10.0
"""Seconds; a program that ran for longer is not in a loop, and the delay begins again."""


class Decision(msgspec.Struct, frozen=True):
    """`delay` in seconds before the next start; None where there is none."""

    delay: float | None


def decide(
    policy: str,
    maximum: int,
    *,
    exit_code: int,
    restarts: int,
    ran: float,
    last_delay: float,
    called_off: bool,
    asked_to_stop: bool,
) -> Decision:
    """What follows an exit. `restarts` were made before it, `ran` is how long the program lived, in seconds.

    `called_off`: it was stopped or killed, so that no policy brings it back now. `asked_to_stop`: somebody sent it a signal,
    whichever; with that alone `unless-stopped` takes it for stopped, as in Docker.
    """
    wanted = not called_off and (
        policy == "always"
        or (policy == "unless-stopped" and not asked_to_stop)
        or (policy == "on-failure" and exit_code != 0 and (maximum == 0 or restarts < maximum))
    )
    if not wanted:
        return Decision(None)
    if last_delay == 0 or ran >= LONG_RUN:
        return Decision(FIRST_DELAY)
    return Decision(min(last_delay * 2, LONGEST_DELAY))


def starts_with_daemon(policy: str, maximum: int, *, exit_code: int, restarts: int, asked_to_stop: bool) -> bool:
    """Whether a container that has run, and does not, is started when the daemon comes up (after a boot, say)."""
    match policy:
        case "always":
            return True
        case "unless-stopped":
            return not asked_to_stop
        case "on-failure":
            return exit_code != 0 and (maximum == 0 or restarts < maximum)
        case _:
            return False
