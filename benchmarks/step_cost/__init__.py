"""What does a training update cost?"""
