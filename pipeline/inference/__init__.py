"""What the server answers chats with: a model held in memory, many answers at a time."""
