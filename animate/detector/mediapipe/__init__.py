"""The embedded detector: seven of Google's MediaPipe networks, run by torch."""
