"""The studio: content tasks become checked files. Media in `media.py`, engines by capability, a process a job."""
