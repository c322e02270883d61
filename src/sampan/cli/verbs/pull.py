"""`pull`: an image, or all tags of a repository, from a registry."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.pull import pull
from sampan.errors import InvalidParameter
from sampan.images.references import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

TRUST = Option(
    "disable-content-trust", "bool", "Accepted for docker's sake: there is no content trust here", default=True
)


def wanted(session: Session, parsed: Parsed) -> Reference:
    """What the command line names, `latest` added where it has no tag. Exit 1 in Docker's words."""
    every = parsed.flag("all-tags")
    try:
        reference = parse_reference(parsed.words[0])
    except InvalidParameter as error:
        raise Exit(1, str(error)) from error
    if every and not reference.is_name_only:
        raise Exit(1, "tag can't be used with --all-tags/-a")
    if every or not reference.is_name_only:
        return reference
    if not parsed.flag("quiet"):
        session.say("Using default tag: latest")
    return reference.with_default_tag()


def _pull(session: Session, parsed: Parsed) -> int:
    reference = wanted(session, parsed)
    platform = parsed.text("platform") or session.given.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    query = {
        "fromImage": reference.familiar_name,
        "tag": reference.digest or reference.tag,
        "platform": platform.lower() or None,
    }
    pull(session, reference.familiar_name, query, parsed.flag("quiet"), 1)
    session.say(str(reference))
    return 0


PULL = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Bring an image from a registry",
    _pull,
    (
        Option("all-tags", "bool", "All images of the repository", "a"),
        TRUST,
        Option("platform", "string", "Platform of the image: os/architecture[/variant]"),
        Option("quiet", "bool", "Show the name only", "q"),
    ),
    words=(1, 1),
    completes="image",
    examples=("pull debian", "pull -a registry.example:5000/team/app", "pull --platform linux/arm64 debian:12"),
)
