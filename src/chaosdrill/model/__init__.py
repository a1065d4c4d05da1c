"""The frozen nouns: experiment, run, signal. No I/O, no clock, no logging."""
