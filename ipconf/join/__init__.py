"""`ipconf join`: take part in a conference by its description, from the command line."""
