"""A `RunRecord` as tables, plots, one self-contained HTML page and a model card."""
