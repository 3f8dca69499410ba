"""How long does quantizing take without training, phase by phase?"""
