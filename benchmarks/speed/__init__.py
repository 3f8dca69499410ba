"""How fast is it on a CPU?"""
