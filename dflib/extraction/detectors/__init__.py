"""Face detectors, one module each, named as in ``faces.detector``.

A module defines ``PART``, a :class:`dflib.extraction.detect.DetectorPart`, and is listed in
:data:`dflib.parts.catalog.DETECTORS`.  It imports cv2, TensorFlow and optional packages inside functions, because
the driver imports the module and detects nothing.  Modules that begin with an underscore are helpers.
"""
