"""What finds people in an image: seven networks of Google's MediaPipe, run by torch, or ONNX files of the user's."""
