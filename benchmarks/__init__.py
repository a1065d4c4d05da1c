"""How fast chaosdrill is, measured beside Chaos Toolkit in the same run on the same machine."""
