"""Running the steps: what is done, what is next, and what may be bought."""
