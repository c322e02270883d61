"""Logs of containers: the json-file writer that the monitor feeds, the reader that the daemon answers from, options.

Drivers that ship logs elsewhere read what is written here; they do not belong here. May import `errors` and `spec`;
`jsonfile_writer` is loaded by the launcher and imports the standard library only.
"""
