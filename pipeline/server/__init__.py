"""The OpenAI-compatible API that really trains. It never imports steps."""
