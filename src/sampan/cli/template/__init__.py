"""The part of Go's text/template that `--format` needs: lexer, parser, evaluation over JSON values, functions."""
