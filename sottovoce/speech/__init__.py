"""Speech on its way to the model: corpora, decoding, batches, and transcripts as CTC labels."""
