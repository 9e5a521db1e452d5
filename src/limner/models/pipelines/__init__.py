"""Any text-to-image pipeline of diffusers, as one family."""
