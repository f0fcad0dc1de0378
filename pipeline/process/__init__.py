"""What this process is given and asked: the time, signals to stop, and an environment that tells nobody anything."""
