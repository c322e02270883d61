"""BuildKit's protocol, as `docker buildx` and `docker compose build` speak it: another front end of the same solver.

    POST /grpc     ── h2c ──▶ connections ──▶ control: Solve, Status, Info …     ─┐
                                        └──▶ gateway: Solve, Return (buildx leads)─┴─▶ solves ──▶ build.solve
    POST /session  ── h2c ──▶ sessions: the client serves, we call: files, secrets, agents, credentials

Belongs here: messages, sessions, what a client's words mean for a build. Does not belong: building itself (build), HTTP/1 (api).
May import: build and everything below it. Imported late: grpclib, h2 and protobuf are 12 MB that a daemon without buildx is spared.
"""
