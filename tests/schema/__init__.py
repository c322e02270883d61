"""Every answer that a daemon under test gives is held against the published schema of the Engine API 1.51.

`recorder.py` is `sampand` that writes its answers down, `published.py` judges them, `departures.py` lists what is different
and why. The schema is not part of the project: where its file is missing nothing is recorded, and a test says so.
"""
