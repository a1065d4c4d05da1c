"""What a reviewer reads. Computes no facts."""
