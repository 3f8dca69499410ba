"""Compressed models for programs that do not know sottovoce: ONNX, OpenVINO, compressed-tensors."""
