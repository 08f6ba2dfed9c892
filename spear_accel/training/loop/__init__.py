"""The training loop that every task shares: settings, steps, checkpoints, log."""
