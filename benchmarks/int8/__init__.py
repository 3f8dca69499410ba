"""What do 8 bits for weights and inputs cost, without training?"""
