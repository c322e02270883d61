import threading
from pathlib import Path

import pytest

from sampan.files.remove import remove_tree
from sampan.files.trash import Freeing, Trash


def test_what_is_still_on_the_disk_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, began = threading.Event(), threading.Event()

    def slow(parent: int, name: bytes) -> None:
        began.set()
        assert go.wait(30)
        remove_tree(parent, name)

    monkeypatch.setattr("sampan.files.trash.remove_tree", slow)
    bin_ = Trash(tmp_path / "trash")
    try:
        assert bin_.freeing() == Freeing()
        for number in range(3):
            (tmp_path / f"tree-{number}").mkdir()
            bin_.take(tmp_path / f"tree-{number}", 10 * number)
        bin_.take(tmp_path / "never there", 1000)
        assert bin_.freeing() == Freeing(3, 30)
        assert began.wait(30)
        assert bin_.freeing() == Freeing(3, 30)
    finally:
        go.set()
    while bin_.freeing() != Freeing():
        assert threading.active_count() > 1
    assert list((tmp_path / "trash").iterdir()) == []
    bin_.close()


def test_what_an_earlier_process_left_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trash" / "left").mkdir(parents=True)
    monkeypatch.setattr("sampan.files.trash._PAUSE", 1.0)
    bin_ = Trash(tmp_path / "trash")
    assert bin_.freeing() == Freeing(1, 0)
    bin_.close()
