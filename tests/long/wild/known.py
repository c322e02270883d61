"""Where an image of Sampan's is not as Docker's builders make it, and why. docs/build.md has the same table."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A difference: `line` fits it whole, `cases` and `witnesses` say where (empty: everywhere), `text` why."""

    line: str
    text: str
    cases: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()


_CLASSIC = ("classic",)
_KITS = ("buildkit-20.10", "buildkit-28")
_OF_20 = ("classic", "buildkit-20.10")
_DIRECTORY = r"\(b'5', '755', 0, 0, '', \(\)\)"

KNOWN = (
    Known(
        r"config Image: None \| 'sha256:.*'",
        "The classic builder names the image below in the member `Image`.",
        (),
        _CLASSIC,
    ),
    Known(
        r"config ArgsEscaped: None \| True",
        "BuildKit writes `ArgsEscaped`, which means something for Windows alone.",
        (),
        _KITS,
    ),
    Known(
        r"config Healthcheck: \{'Test': \['NONE'\]\} .*",
        "The classic builder keeps the times of a health check that HEALTHCHECK NONE takes away.",
        ("healthchecks",),
        _CLASSIC,
    ),
    Known(
        r"config WorkingDir: '/slim/app' \| '/slim//app'",
        "Docker keeps doubled slashes in an absolute WORKDIR.",
        ("arguments-and-expansions",),
    ),
    Known(
        r"tree (?:.*/)?\.dockerignore: .*",
        "Docker's old client writes a line of its own into `.dockerignore` where the Dockerfile lies outside of the context.",
        ("copy-shapes", "python-web-app", "php-composer"),
        _CLASSIC,
    ),
    Known(
        r"tree .*/setuid: \(b'0', '4755', .*\) \| \(b'0', '755', .*",
        "The classic builder loses set-user-id bits of the context's files: it changes owners after modes.",
        (),
        _CLASSIC,
    ),
    Known(
        r"tree .*/?capable: .*security.capability.*",
        "Docker's builders lose capabilities of the context's files: they change owners after attributes.",
    ),
    Known(
        r"config WorkingDir: '/' \| None",
        "The classic builder writes no `WorkingDir` for an image on scratch, BuildKit writes `/`.",
        (),
        _CLASSIC,
    ),
    Known(
        rf"tree (?:run(?:/secrets)?|root/\.cache(?:/pip)?|scratch|src/app|tools): None \| {_DIRECTORY}",
        "BuildKit of 20.10 leaves the directories that were mounted upon.",
        ("run-secret", "run-mounts"),
        ("buildkit-20.10",),
    ),
    Known(
        r"tree (?:proc|sys): None \| " + _DIRECTORY,
        "BuildKit leaves `/proc` and `/sys`, which it mounts upon, in the layer of a RUN whose base has none.",
        (),
        _KITS,
    ),
    Known(
        rf"tree (?:eight|owned|onbuild|home)/.*|tree (?:eight|app/\.next): .* \| {_DIRECTORY}",
        "The classic builder's directories are root's: of WORKDIR after USER, and of COPY --chown above what it copies.",
        ("copy-chown", "node-three-stages", "onbuild-twice", "users", "workdirs"),
        _CLASSIC,
    ),
    Known(
        rf"tree (?:data/kept|var/log/kept): .* \| None|tree (?:var/db|with space|etc/mysql/conf\.d): None \| {_DIRECTORY}",
        "The classic builder makes a volume's directory, and drops what steps behind VOLUME put into it.",
        ("labels-and-volumes", "mysql-config"),
        _CLASSIC,
    ),
    Known(
        r"tree six.*",
        "Before release 23 Docker's builders did not give what ADD --chown unpacked to anybody.",
        ("copy-chown",),
        _OF_20,
    ),
    Known(
        r"tree (?:two|three|four).*",
        "BuildKit of 20.10 gives --chmod to no directory that it makes, and no sticky bit; set-user-id bits stay.",
        ("copy-chmod",),
        ("buildkit-20.10",),
    ),
    Known(
        r"tree xz/.*",
        "Docker unpacks xz with the program `xz`, which is not in the root that release 28 runs from.",
        ("add-archives",),
        ("buildkit-28",),
    ),
)
"""In the order of the table in docs/build.md."""


def unexplained(case: str, witness: str, lines: list[str], used: set[str]) -> list[str]:
    """The lines that no known difference fits; those that do are added to `used`."""
    left = []
    for line in lines:
        reason = next(
            (
                known.text
                for known in KNOWN
                if (not known.cases or case in known.cases)
                and (not known.witnesses or witness in known.witnesses)
                and re.fullmatch(known.line, line, re.DOTALL)
            ),
            None,
        )
        if reason is None:
            left.append(line)
        else:
            used.add(reason)
    return left
