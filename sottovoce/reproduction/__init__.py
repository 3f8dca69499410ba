"""A paper's table, run row by row on any checkpoint and speech, beside the paper's own numbers."""
