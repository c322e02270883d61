"""The part of Go's text/template that `--format` and the tags of logs need: lexer, parser, evaluation over JSON values, functions.

Loaded by the command: nothing of the standard library. What a template may take is bounded by whoever renders it. May import
`errors`.
"""
