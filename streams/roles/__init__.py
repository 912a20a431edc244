"""The processes: each role wires its Faust agents to pure cores; a supervisor keeps them running."""
