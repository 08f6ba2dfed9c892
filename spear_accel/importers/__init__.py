"""Trained models of other packages, read into ours: a module a layout, each with `load(path, ...)`."""
