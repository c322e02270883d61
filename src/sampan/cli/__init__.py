"""The `sampan` command: what a person types and reads. Option tables, parsing, output, templates, terminals, signals.

One table per command drives parsing, help and completion. The only room (with the `*_main` modules) that reads the environment.
Everything here is loaded late: a command imports its own table and what it does, and nothing that costs time to import
(no click, argparse, json, re, datetime, enum or dataclasses on the way of run, exec, ps and logs; a test lists `sys.modules`).
May import `errors` and `client`; `check-host` also imports `host`, the room of probes, and `cp` the rooms that read and write tars.
"""
