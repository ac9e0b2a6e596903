"""Frame samplings, one module each, named as in ``sampling.frames``.

A module defines ``PART``, a :class:`dflib.extraction.sampling.Sampling`, and is listed in
:data:`dflib.parts.catalog.SAMPLINGS` with the pattern of its argument.
"""
