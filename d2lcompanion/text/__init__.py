"""Text: vocabularies, word vectors, their objectives and what they are measured by."""
