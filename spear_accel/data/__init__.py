"""Corpora, splits, tokenized manifests and batches: what training reads. Knows no model."""
