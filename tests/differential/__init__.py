"""The differential harness: one command line or API call, given to Sampan and to Debian's dockerd, must answer alike.

`cases.py` lists what is asked, `views.py` how an answer becomes comparable, `known.py` every difference that is there, with its
reason. A difference that is not listed fails, and so does a listed one that no longer occurs.
"""
