"""A generation as a whole: what was asked for, and what it was made with."""
