"""Single programs out of Debian sid's packages, unpacked below `.build`; the machine's apt stays as it is."""

import shutil
import subprocess
from pathlib import Path

from tests.daemons import PROJECT

SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main"


def unpacked(package: str) -> Path:
    """The directory that has the package's files; fetched once, by lists of its own."""
    place = PROJECT / ".build" / package
    if place.exists():
        return place
    partial = PROJECT / ".build" / f"{package}.new"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / ".apt/lists/partial").mkdir(parents=True)
    (partial / ".apt/sources.list").write_text(SOURCE + "\n")
    settings = {
        "Dir::Etc::sourcelist": partial / ".apt/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": partial / ".apt/lists",
        "Dir::Cache": partial / ".apt",
        # A mirror may be older than the suite's own date.
        "Acquire::Check-Valid-Until": "false",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["download", package]):
        subprocess.run(["apt-get", "-q", *options, *command], cwd=partial, check=True, capture_output=True, timeout=300)
    (archive,) = partial.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
    archive.unlink()
    shutil.rmtree(partial / ".apt")
    partial.rename(place)
    return place
