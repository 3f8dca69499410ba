"""What does the cached teacher cost?"""
