"""From the bytes of a video to frames as a viewer sees them: their times, their shape, their colours.

PyAV is imported inside functions: the driver imports this package and decodes nothing.
"""
