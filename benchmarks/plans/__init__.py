"""Is the plan worth learning?"""
