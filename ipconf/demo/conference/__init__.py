"""`ipconf demo --parties 4`: people meet in a hub; what each heard and saw is checked."""
