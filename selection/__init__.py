"""Who must look at what: arrays in, decisions out. No I/O, no clock, no global randomness."""
