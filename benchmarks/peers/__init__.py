"""What do other tools make of the same checkpoint?"""
