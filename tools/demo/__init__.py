"""A miniature Deepfake Detection Challenge with known ground truth, generated from two public-domain portraits."""
