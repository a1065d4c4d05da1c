"""The only door to Chaos Toolkit."""
