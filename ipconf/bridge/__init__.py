"""`ipconf bridge`: rooms for browsers and for WHIP and WHEP clients, each a conference."""
