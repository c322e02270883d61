"""The Engine API over HTTP: server, routes by resource, streams, versions, errors → status.

Here: everything that knows of HTTP on the daemon's side. Not here: what a request means for containers or images; the
routes call the Protocols of `backend.py`, which the daemon implements without knowing this room. Imports `errors` and
`spec`, never `daemon`: they meet in the daemon's main module.
"""
