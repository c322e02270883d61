"""Logs of containers: writers that the monitor feeds, the reader that answers are made from, options, packing.

Drivers that ship logs elsewhere read what is written here (`shipping`). May import `errors`, `spec`, `kernel` and `files`.
What `writers` imports is loaded by the launcher: the standard library only. `reader` and what it imports work in any process.
"""
