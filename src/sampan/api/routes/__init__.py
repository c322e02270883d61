"""One module for each resource: its handlers, and its routes as a table.

A handler reads fields and body, calls the backend, and shapes the answer for the client's API version. What Docker
checks before it looks at any container is checked here; everything else is the backend's. Imports the rest of `api`.
"""
