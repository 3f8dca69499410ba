"""A recogniser as one function that can be traced."""
