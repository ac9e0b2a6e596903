"""Find the faces of a video data set on Spark, score them, and say which videos are deepfakes."""

__version__ = "0.1.0"
