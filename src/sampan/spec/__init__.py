"""Typed documents: bodies of the Engine API, OCI runtime and image documents, identifiers, arguments of use-cases.

Here: data, its names on the wire, parsing and encoding. Not here: files, sockets, decisions. Imports only
`sampan.errors`. A body of the API is a `document.Document`; requests are read through `decoding.Reader`, which forgives
what Go's decoder forgives.
"""
