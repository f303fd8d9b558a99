"""Detectors of people in images: seven networks of Google's MediaPipe, run by torch, or the user's ONNX files."""
