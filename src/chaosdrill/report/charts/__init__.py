"""Charts: from columns of readings to shapes, and from shapes to SVG that needs no script."""
