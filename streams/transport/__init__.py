"""How records get in and out: chunked reading, merging, publishing, topic administration, the embedded broker."""
