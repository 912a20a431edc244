"""The pretrained text encoder: where its files are, what they give for a text, and what it gave before."""
