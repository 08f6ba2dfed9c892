"""Training of the acoustic stage: mel decoder and vocoder."""
