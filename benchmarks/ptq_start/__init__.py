"""Is post-training quantization a good start for training?"""
