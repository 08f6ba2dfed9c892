"""Files without a meaning of their own: written whole or not at all, read with checks. Knows no voice."""
