"""Trained models of other packages, read into ours. One module a layout; each has `load(path, ...) -> TextToSemantic`."""
