"""Lane detection: a road image to lines, each point with its standard deviation in pixels."""
