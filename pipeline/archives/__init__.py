"""Archive readers: each turns one kind of archive into sessions."""
