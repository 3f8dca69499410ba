"""How fast is it on a CUDA device?"""
