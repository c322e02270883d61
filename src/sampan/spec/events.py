"""Events."""

from sampan.spec.document import Document, Int64, Pairs, sent, wire


class Actor(Document, frozen=True, rename=wire(id="ID")):
    """What an event happened to: its id, and its labels, name, image and so on."""

    id: str = sent("")
    attributes: Pairs = sent({})


class Message(
    Document,
    frozen=True,
    rename={"type": "Type", "action": "Action", "actor": "Actor", "from_": "from", "time_nano": "timeNano"},
):
    """One event. `status`, `id` and `from_` repeat it in the old form for containers and images.

    `time` in seconds, `time_nano` in nanoseconds since the epoch.
    """

    status: str = ""
    id: str = ""
    from_: str = ""
    type: str = sent("")
    action: str = sent("")
    actor: Actor = sent(Actor())
    scope: str = sent("local")
    time: Int64 = sent(0)
    time_nano: Int64 = sent(0)
