"""Labels stand on no mark, on no other label and inside the drawing, and away from lines."""

from __future__ import annotations

from rsc_snn.figures.labels import Labels

ACROSS, ALONG = (0.0, 290.0), (0.0, 320.0)  # one unit is a pixel


def placed(
    places: list[tuple[float, float]],
    marks: list[tuple[float, float, float]] | None = None,
    lines: list[tuple[float, float, float, float]] | None = None,
) -> list[str | None]:
    """The side of each label "0.1" at marks of 8 pixels; None for one that is left out."""
    labels = Labels(ACROSS, ALONG, marks or [], lines or [])
    texts, sides = labels.place(["0.1"] * len(places), places, [8.0] * len(places))
    return [side if text else None for text, side in zip(texts, sides, strict=True)]


def test_a_label_is_above_and_right_of_its_point_if_nothing_is_there() -> None:
    assert placed([(100, 100)]) == ["top right"]


def test_a_label_covers_no_mark() -> None:
    assert placed([(100, 100)], marks=[(115, 112, 8)]) == ["bottom right"]
    ring = (100.0, 100.0, 60.0)
    assert placed([(100, 100)], marks=[ring]) == [None]


def test_a_label_covers_no_earlier_one_and_close_points_share_one() -> None:
    first, second = placed([(100, 100), (118, 100)])
    assert (first, second) == ("top right", "bottom right")
    assert placed([(100, 100), (104, 104)]) == ["top right", None]


def test_a_label_is_on_as_few_lines_as_can_be() -> None:
    right = (110.0, 0.0, 110.0, 320.0)
    assert placed([(100, 100)], lines=[right]) == ["top left"]
    level = (0.0, 112.0, 290.0, 112.0)
    assert placed([(100, 100)], lines=[right, level]) == ["bottom left"]


def test_a_label_is_inside_the_drawing() -> None:
    assert placed([(285, 315), (2, 2)]) == ["bottom left", "top right"]


def test_a_point_without_a_text_takes_no_room() -> None:
    labels = Labels(ACROSS, ALONG, [], [])
    texts, _ = labels.place(["", "0.1"], [(100, 100), (100, 100)], [8.0, 8.0])
    assert texts == ["", "0.1"]
