"""The run itself: runner, guard, unwind. Blind to how a verdict comes about."""
