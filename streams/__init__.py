"""Everything that meets the world: topics, processes, files, settings and the `marquee` command."""
