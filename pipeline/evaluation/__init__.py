"""Is a tuned model any good: whether it sounds like the person, makes sense and leaks, measured and said in words."""
