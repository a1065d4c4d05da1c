"""The undertaker: a small process of its own that finishes a run whose runner is gone.

`line` is the runner's end. The watchdog itself is started as a bare script (`__main__`), without
site-packages and with nothing but the standard library, `ports`, the ledger, `unwind` and the faults of its
run. It must know neither Chaos Toolkit nor a report: what comes after the undo is left to `recover`.
"""
