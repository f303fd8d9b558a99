"""The shelf "Video": save the result."""
