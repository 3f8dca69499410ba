"""What teaches the importances?"""
