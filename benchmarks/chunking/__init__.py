"""What does cutting long recordings cost?"""
