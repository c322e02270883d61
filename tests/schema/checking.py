"""From what recorded daemons wrote down to what is wrong with it."""

import json
from pathlib import Path

from tests.schema.departures import departs
from tests.schema.published import Given, published


class Reader:
    """Reads what was added to the files of a directory since the last time; equal lines are judged once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}
        self._judged: set[bytes] = set()

    def faults(self) -> list[str]:
        """What is wrong with answers that nobody has looked at yet, one line each."""
        return [
            fault
            for file in sorted(self._directory.iterdir())
            for line in self._new(file)
            for fault in self._judge(line)
        ]

    def _new(self, file: Path) -> list[bytes]:
        with file.open("rb") as opened:
            opened.seek(self._read.get(file, 0))
            text = opened.read()
        whole = text[: text.rfind(b"\n") + 1]  # the rest is being written, or its daemon was killed over it
        self._read[file] = self._read.get(file, 0) + len(whole)
        return whole.splitlines()

    def _judge(self, line: bytes) -> list[str]:
        if line in self._judged:
            return []
        self._judged.add(line)
        answer = Given(**json.loads(line))
        return [
            f"{answer.operation} {answer.status}: {fault}"
            for fault in published().faults(answer)
            if not departs(answer.operation, fault)
        ]
