"""WhatsApp: chats that the phone exports as text, and what WhatsApp-Chat-Exporter makes of its databases."""
