"""The shelf "Cache": one node for each step cache."""
