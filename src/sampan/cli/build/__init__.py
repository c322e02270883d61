"""`sampan build` on the client's side: what is sent, what is asked, and what is shown of the answer.

    context ── which files and which Dockerfile ── packing ── their tar, as it is sent
    request ── options as the API's parameters     ── attributes ── `type=…,dest=…`
    board   ── the events of the answer, put together ── plain, live, rawjson ── shown
    results ── image id, metadata and outputs, written

May import what the rest of `cli` may, and the rooms that read and write tars and ignore files. The build itself is the daemon's.
"""
