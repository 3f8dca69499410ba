"""How text is written: all that is compared, learnt from or recognised is brought to one form."""
