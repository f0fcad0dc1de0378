"""Sessions and messages, as every step reads and writes them."""
