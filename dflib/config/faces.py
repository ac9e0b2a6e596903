"""Which faces are used, and what a model sees of them."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dflib.config.section import Fraction, Positive, Section, split_list
from dflib.parts import catalog


class View(Section):
    """What a model sees of a face; :func:`dflib.models.view.cut` implements it."""

    size: Positive
    """Side of the square input in pixels."""
    margin: Annotated[float, Field(ge=0, le=2)]
    """Margin on each side of the box, as a fraction of the box's width and height; ready-cut crops are taken whole.
    With ``align``, fraction by which the aligned square is enlarged in total."""
    square: bool
    """Whether the region is a square around the box; if not, it is stretched to the input."""
    interpolation: Literal["nearest", "linear", "area", "cubic"]
    """Interpolation of OpenCV when the region is resized; ``area`` averages."""
    blank_face: bool
    """A control: the face is filled with grey, so that only its surroundings are visible."""

    # Later keys have a default and are left out of the JSON while they have it: rows of older models stay valid, and
    # so do identifiers that are hashes of settings.
    align: Literal["none", "landmarks"] = "none"
    """landmarks: the region is a square around the nose, rotated so that the eyes are level, instead of the box."""
    padding: Literal["edge", "reflect"] = "edge"
    """What fills a square outside the image: its edge pixels, or the image mirrored at its edge."""
    mark_landmarks: bool = False
    """An ablation: draws the five landmarks and the box on the image that the model sees."""
    transforms: Annotated[
        tuple[Annotated[str, AfterValidator(catalog.TRANSFORMS.check)], ...], BeforeValidator(split_list)
    ] = ()
    """Transforms of the catalog with their arguments, applied in this order after cutting and resizing."""

    @property
    def needs_landmarks(self) -> bool:
        """Whether only faces with landmarks can be cut."""
        return self.align == "landmarks" or self.mark_landmarks

    @model_validator(mode="after")
    def _agrees(self) -> "View":
        if self.align != "none" and not self.square:
            raise ValueError(f"align={self.align} cuts a square; set square=true or align=none")
        if self.align != "none" and self.blank_face:
            raise ValueError(f"align={self.align} leaves too few surroundings for blank_face; set one of them off")
        if self.padding != "edge" and not self.square:
            raise ValueError(f"padding={self.padding} has no effect on a clipped view; set square=true or padding=edge")
        if self.mark_landmarks and self.blank_face:
            raise ValueError("mark_landmarks draws what blank_face hides; set one of them to false")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Compared as attributes: in JSON a tuple is a list.
        fields = type(self).model_fields
        return {name: value for name, value in dump(self).items() if getattr(self, name) != fields[name].default}


class Quality(Section):
    """Which faces are good enough to be used; :func:`dflib.tables.quality.usable` implements it.

    0 turns a limit off (255 for ``max_brightness``). A face whose value is unknown passes.
    """

    min_size: Annotated[float, Field(ge=0)]
    """Smallest length of the box's shorter side, in pixels of the frame."""
    min_sharpness: Annotated[float, Field(ge=0)]
    """Smallest ``faces.sharpness``, the variance of the Laplacian; blurred faces have a low one."""
    min_brightness: Annotated[float, Field(ge=0, le=255)]
    """Smallest ``faces.brightness``, the mean grey level."""
    max_brightness: Annotated[float, Field(ge=0, le=255)]
    """Largest ``faces.brightness``; 255: no limit."""
    min_frontal: Fraction
    """Smallest ``faces.frontal``: 1 faces the camera, 0 is turned away by about 45 degrees or more."""
    drop_short: bool
    """Whether faces on tracks marked short are left out."""

    @model_validator(mode="after")
    def _agrees(self) -> "Quality":
        if self.min_brightness > self.max_brightness:
            raise ValueError(
                f"min_brightness={self.min_brightness:g} is above max_brightness={self.max_brightness:g}, "
                "which leaves no face"
            )
        return self
