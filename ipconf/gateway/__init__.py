"""`ipconf gateway`: guests over WebRTC meet the members of a multicast group."""
