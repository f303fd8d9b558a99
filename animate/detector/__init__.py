"""The detector that comes with the pack: seven small networks of Google's MediaPipe, run by torch."""
