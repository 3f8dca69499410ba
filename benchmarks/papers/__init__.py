"""What do the papers' tables give at this scale?"""
