"""Where media enters and leaves: your own code, files, tones and pictures.

`base` says what a terminal is, `registry` which ones a provider has. The terminals themselves are
in `memory` (the application's own code), `files`, `tones` and `pictures`; `convert` holds every
conversion between their media and the package's.
"""
