"""A miniature Deepfake Detection Challenge with known truth, made from two public-domain portraits."""
