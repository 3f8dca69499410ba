"""How small does joint learning make a recogniser, and what does it cost in words?"""
