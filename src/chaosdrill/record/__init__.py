"""The run folder: what happened, on disk before anyone is told. The truth for runs; knows no stage."""
