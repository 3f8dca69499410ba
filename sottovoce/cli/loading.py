"""Where a command begins to load models."""

from sottovoce.cli.printing import Console


def quiet_console() -> Console:
    """Standard error, where transformers now says and shows nothing itself: what it warns of while
    it loads a model, we refuse or mend."""
    import transformers

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    return Console(stderr=True)
