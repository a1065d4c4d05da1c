"""The gate: items of the checklist, each decided on evidence, and the clearance that comes of it."""
