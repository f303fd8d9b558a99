"""The user's own ONNX detectors, run by onnxruntime."""
