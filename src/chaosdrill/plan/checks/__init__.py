"""What can be wrong in an experiment file, by concern; each check adds to the same findings.

Errors are what would make a run impossible or meaningless. What Chaos Toolkit accepts in its own part of the
file is never an error here, at most a warning.
"""
