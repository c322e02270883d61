"""Registries: the client of OCI's distribution protocol, where a registry's hosts are, and whose credentials go where.

No image is known here, and nothing is stored: `images` pulls and pushes through `protocol.Registries`. `fetching` brings a
plain file from a web address over the same connections. May import `spec`, `errors`, `files` and the standard library;
urllib3 is imported late, by the first request.
"""
