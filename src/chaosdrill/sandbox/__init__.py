"""A small real system on loopback, so that nobody needs a cluster to begin."""
