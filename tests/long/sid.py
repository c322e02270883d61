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
    apt(partial, SOURCE, "download", package)
    (archive,) = partial.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
    archive.unlink()
    shutil.rmtree(partial / ".apt")
    partial.rename(place)
    return place


def apt(directory: Path, source: str, *command: str) -> None:
    """apt-get with that line as its only source and lists of its own; what it brings lies in `directory` then."""
    (directory / ".apt/lists/partial").mkdir(parents=True)
    (directory / ".apt/sources.list").write_text(source + "\n")
    settings = {
        "Dir::Etc::sourcelist": directory / ".apt/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": directory / ".apt/lists",
        "Dir::Cache": directory / ".apt",
        # A mirror may be older than the suite's own date.
        "Acquire::Check-Valid-Until": "false",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    for words in (("update",), command):
        subprocess.run(["apt-get", "-q", *options, *words], cwd=directory, check=True, capture_output=True, timeout=300)
