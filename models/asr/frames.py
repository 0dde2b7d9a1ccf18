"""Where an output frame of the recogniser lies in time, and what its classes are."""

from models.media import SAMPLE_RATE

HOP = 160  # samples between two mel frames, 10 ms
WINDOW = 400  # samples in one mel frame, 25 ms
SUBSAMPLING = 4  # mel frames in one output frame
FRAME = HOP * SUBSAMPLING  # samples between two output frames
FRAME_S = FRAME / SAMPLE_RATE  # 40 ms
CONTEXT = 2  # output frames of silence before and after the clip, so that the shortest word has room
BLANK = 0  # symbol i of the alphabet is class i + 1
