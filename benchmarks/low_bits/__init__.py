"""How good are 2 bits and below?"""
