"""Base models: where they come from, their chat formats, and what this machine can do with them."""
