"""How fast are weights fake-quantized?"""
