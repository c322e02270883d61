"""Durable state: named tables of bytes and atomic transactions across them, on SQLite.

Belongs here: durability, group commit, the schema's version. Does not: what the bytes mean; no other room's types are
known here. May import `errors`, `crashpoints` and the standard library's `sqlite3`.
"""
