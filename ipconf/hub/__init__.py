"""What a conference is made of: legs, the people on them, their voices, the audio bridge."""
