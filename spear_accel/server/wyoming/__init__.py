"""The Wyoming protocol of Home Assistant's voice, beside HTTP or over standard streams."""
