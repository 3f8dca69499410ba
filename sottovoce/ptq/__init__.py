"""Quantization without training: ranges from calibration speech, sensitivities, rounding."""
