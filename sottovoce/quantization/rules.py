"""The names of the rules by which ranges are chosen, apart from what computes them: recipes and
flags list them, and load no torch for that."""

RANGES = ("mse", "l1", "lsq", "max")
"""Of weights, as `ranges.initial_affine` takes them."""
SCALES = ("learnt", "from-weights")
"""Of weights while they train, as `learnt.SCALES` has them."""
INPUT_RANGES = ("minmax", "percentile", "mse", "entropy")
"""Of what goes into layers, as `activations.RULES` has them."""
