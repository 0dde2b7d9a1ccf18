"""What a model says about media: records, media, the three tasks, training and export."""
