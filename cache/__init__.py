"""Step caches: evaluations that reuse what the blocks made of an earlier one, and a report of what that saved."""
