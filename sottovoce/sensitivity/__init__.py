"""What a layer costs at each width, and the plan of least cost under a budget."""
