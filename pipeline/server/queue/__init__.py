"""What becomes of a job: checked, trained by a worker process, written down; see interfaces.py."""
