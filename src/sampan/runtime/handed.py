"""The beginning of a program to which a builder has stepped aside: it takes what it was handed, and is that builder from here on.

Loaded by the restorer and by what drives other runtimes; never by the launcher.
"""

from __future__ import annotations

import json
import os
import sys

from sampan.kernel.process import Title
from sampan.runtime import builder
from sampan.runtime.messages import Kind, Message
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def taken(kind: Kind, role: str) -> tuple[builder.Build, dict[str, Any]]:
    """The build, and what `aside.step_aside` has handed over beside; `sys.argv[1]` is a descriptor of that.

    The process is called after its `role` and the container, and so are its lines. Nothing that was handed is inherited further.
    """
    carrier = int(sys.argv[1])
    text = os.pread(carrier, os.fstat(carrier).st_size, 0)
    os.close(carrier)
    handed: dict[str, Any] = json.loads(text)["handed"]
    mount = [handed["mount"]] if handed["mount"] >= 0 else []
    for descriptor in (handed["first"], handed["host"], *mount, handed["monitor"], *handed["descriptors"]):
        os.set_inheritable(descriptor, False)
    title = Title()
    build = builder.Build(Message(kind, 0, text, handed["descriptors"]), title)
    build.mount = handed["mount"]
    title.set(f"sampan-{role} {build.id[:12]}")
    lines.use(str(handed["form"]))
    lines.speak_as(f"{role} of {build.id[:12]}", str(build.body["request_id"]))
    return build, handed
