"""Speech over HTTP: many clients whose requests share one batch. Needs the extra `serve`."""
