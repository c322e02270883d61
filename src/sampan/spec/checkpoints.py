"""Checkpoints of containers, which Docker has in experimental mode and its published schema has not."""

from sampan.spec.document import Document, sent, wire


class CheckpointCreateRequest(Document, frozen=True, rename=wire(checkpoint_id="CheckpointID")):
    """Body of POST /containers/{id}/checkpoints. `exit` ends the container with it; `checkpoint_dir` "" is its own directory."""

    checkpoint_id: str = sent("")
    checkpoint_dir: str = sent("")
    exit: bool = sent(False)


class CheckpointSummary(Document, frozen=True):
    """One of the list that GET /containers/{id}/checkpoints answers."""

    name: str
