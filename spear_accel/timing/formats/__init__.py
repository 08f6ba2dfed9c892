"""Files of word times: one module for each kind of format, each a function from words to text."""
