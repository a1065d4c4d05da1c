"""How to reach a system."""
