"""What is on the wire: records, their limits, the codec and the table of topics."""
