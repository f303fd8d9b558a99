"""Videos and stills on disk: read and written a frame at a time."""
