"""What do 8 bits cost as StableQuant was published, and as we adapt them?"""
