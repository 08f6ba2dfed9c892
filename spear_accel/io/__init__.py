"""Files: voice folders and module checkpoints, read with checks and written whole or not at all."""
