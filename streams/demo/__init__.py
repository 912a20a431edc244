"""`marquee demo`: the whole engine on a broker of its own, learning a film log before your eyes."""
