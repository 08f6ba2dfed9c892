"""Matrix products and threads: the only place that knows what the processor is good at."""
