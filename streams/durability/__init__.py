"""What survives a crash: snapshots with the offsets that they stand for."""
