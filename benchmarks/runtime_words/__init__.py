"""Does every runtime give the same words?"""
