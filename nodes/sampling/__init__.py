"""The shelf "Sampling": plan a run, and run it."""
