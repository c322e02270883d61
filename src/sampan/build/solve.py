"""The solver: what is missing is made, as soon as its inputs are there, as much at once as there are processors.

Dockerfile ─ parse ─▶ tree ─ missing_images ─▶ images looked up, pulled ─ plan ─▶ Graph
Graph.sources ─ digests ─▶ contents ─ keys ─▶ a key for every vertex
from the result down:   kept under its key? ──yes──▶ CACHED, nothing below it is looked at
                              │no
                              ▼
                    its inputs, each the same way, at once
                              ▼
snapshot on input 0 ── RUN: Programs   COPY, WORKDIR: build.tree ──▶ sealed snapshot ──▶ the next may stand on it
                                                                          │ meanwhile
                                                                          ▼
                                                          tar, digest ──▶ LayerRecord
all of them named and placed, lowest first ──▶ cache.keep(key, …) ──▶ image: configuration, history, names
"""

from sampan.build.needs import Progress
from sampan.build.request import BuildRequest, Built
from sampan.errors import NotImplementedHere


async def build(request: BuildRequest, progress: Progress) -> Built:
    """Build what is asked for. Raises DockerfileError, SampanError; nothing but what the cache keeps is left behind then.

    Cancelled: programs are killed, and what was made is taken back, before this returns.
    """
    raise NotImplementedHere(f"building {request.file} for {progress} is not implemented yet")
