"""Public doubles, and the contracts that every part passes."""

from chaosdrill.testing.faults import PROMISES, FaultCase, check_fault

__all__ = ["PROMISES", "FaultCase", "check_fault"]
