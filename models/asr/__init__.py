"""Speech recognition: a waveform to words, each with its time and its doubt."""
