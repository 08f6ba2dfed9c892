"""The one error that means "the user can fix this"; it knows nothing about where it is shown."""


class UserError(ValueError):
    """A mistake in the input, the options or a file: one clear line that names the culprit and the fix."""
