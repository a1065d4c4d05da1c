"""chaosdrill: chaos experiments and GameDays that clear, watch, undo, prove and explain every fault."""

__version__ = "0.1.0"
