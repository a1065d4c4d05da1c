"""Public doubles, and the contracts that every part passes."""
