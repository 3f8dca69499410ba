"""Tensors in, tensors out: grids, ranges and fake quantization. Knows nothing of models."""
