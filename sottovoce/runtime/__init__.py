"""Recognisers made to run over files and corpora."""
