"""`ipconf demo`: two parties in two processes call each other, and you watch."""
