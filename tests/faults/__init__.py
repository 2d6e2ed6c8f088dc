"""The fault suite: whatever is broken whenever, every record that the agent owes arrives.

An oracle hands out numbered records, by a tailed file and by HTTP requests, and notes what was acknowledged (`oracle.py`). A sink
takes them and misbehaves when told to (`sink.py`). Faults strike meanwhile (`breaking.py`). After each series the faults are healed,
and then everything owed must have arrived intact, and nothing else (`course.py`).

The short form runs with the tests (`test_faults.py`); `python -m tests.faults` is the long one, and writes its table.
"""
