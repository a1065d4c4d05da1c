"""From a file to a plan: read it with places, resolve the scope. Decides nothing."""
