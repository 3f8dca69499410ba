"""Which way to 3 bits is best?"""
