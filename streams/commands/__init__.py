"""One file a command of `marquee`: arguments to calls, results to the terminal. `streams/cli.py` lists them."""
