"""The only door to Chaos Toolkit.

`process` is the parent's end of the engine, `child` the engine itself, `observer` what it tells, `expansion`
how the file looks once its variables are known. Nothing of chaoslib is imported in the parent.
"""
