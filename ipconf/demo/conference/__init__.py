"""`ipconf demo --parties 4`: people meet in a hub, and what each heard is checked to the last."""
