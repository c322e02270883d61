"""Whether a plugin listens: at its own socket, not where a link of the plugin's making leads."""

import socket
from pathlib import Path

from sampan.managed.supervisor import is_listened_at


def test_only_a_socket_that_somebody_listens_at(tmp_path: Path) -> None:
    place, link = tmp_path / "plugin.sock", tmp_path / "link.sock"
    assert not is_listened_at(place)
    place.write_text("a file")
    assert not is_listened_at(place)
    place.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        assert not is_listened_at(place)
        listener.listen(1)
        assert is_listened_at(place)
        link.symlink_to(place)
        assert not is_listened_at(link)
    assert not is_listened_at(place)
