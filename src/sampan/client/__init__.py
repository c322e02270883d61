"""The Engine API's client: addresses, one small HTTP/1.1 over unix sockets, TCP and TLS, hijacked streams, typed failures.

Synchronous, one thread. It is on the fast path of `sampan run`, so it imports C modules (`_socket`, `_json`, `select`) and
nothing larger: `http.client` costs 43 ms of start-up, `msgspec` 38, `json` and `socket` 10 each; a whole command has 45.
Here belongs what any program would need to talk to a Docker daemon; what a person types and reads belongs to `cli`.
May import `errors`.
"""
