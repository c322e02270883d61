"""`build`: an image of a Dockerfile and a context; with --check only what is wrong or doubtful in the file."""

from __future__ import annotations

from sampan.cli.build.options import OPTIONS
from sampan.cli.failures import Exit
from sampan.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _build(session: Session, parsed: Parsed) -> int:
    call = parsed.text("call")
    if call not in ("build", "check"):
        raise Exit(1, f"ERROR: --call {call} is not implemented: build or check")
    if parsed.flag("check") or call == "check":
        from sampan.cli.build.checking import check_dockerfile

        return check_dockerfile(session, parsed)
    from sampan.cli.build.building import build

    return build(session, parsed)


BUILD = Command(
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    _build,
    OPTIONS,
    words=(1, 1),
    completes="file",
    examples=(
        "build -t web .",
        "build -t web -f docker/Dockerfile --target test --build-arg VERSION=2 .",
        "build --secret id=token,env=TOKEN --ssh default -t web .",
        "build --no-cache-filter deps -t web .            run the steps of one stage again",
        "build -o out .                                   files instead of an image",
        "build --cache-from type=registry,ref=registry.example/web:cache --cache-to type=inline -t web .",
        "build --check .",
        "build - < Dockerfile",
    ),
)
