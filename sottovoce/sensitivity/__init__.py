"""Sensitivity: each layer's cost at each width, and the plan of least cost under a budget."""
