"""What the engine tells of itself: the form of its log's lines, and the id that every line about one request bears.

Not here: what is logged (each room says that), containers' logs (`logs`), and metrics (`daemon.metrics`). Imports nothing of
Sampan's. `lines` is loaded by the launcher, too, and stands on `json`, `sys` and `time`.
"""
