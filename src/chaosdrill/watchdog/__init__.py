"""The undertaker: a small process of its own that finishes a run whose runner is gone."""
