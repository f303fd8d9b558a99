"""Checkpoint files: header, storage format, Wan variant, and a model of them without weights."""
