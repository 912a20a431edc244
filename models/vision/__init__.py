"""What is where in pictures, and which of it is the same from one frame to the next: arrays in, arrays out."""
