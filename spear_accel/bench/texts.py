"""What a benchmark decodes: everyday sentences of mixed length, or lines that the user gives. Knows no method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.voice.voice import Voice

SENTENCES: tuple[str, ...] = (
    "The kettle is on the stove, and the cups are already on the table.",
    "Yes.",
    "It rained all night, but the garden path was dry again by the time we had eaten breakfast.",
    "Where did you put the spare key?",
    "The train to the coast leaves every hour from the second platform.",
    "Please close the door.",
    "A small boat lay upside down on the beach, half covered by sand.",
    "She counted the coins twice, and both times one was missing.",
    "What a beautiful morning!",
    "The baker opens early, so the smell of bread fills the whole street before sunrise.",
    "Turn left at the bridge.",
    "Nobody had wound the clock, and it stopped a little after four.",
    "The road climbs slowly through the pine woods to an old stone tower.",
    "Is there any soup left?",
    "Our neighbours keep three hens, a goat, and a very patient dog.",
    "Snow fell softly on the roofs of the village.",
    "I would rather walk than wait for the bus, even if it takes half an hour.",
    "Thank you very much.",
    "The library has moved to a larger building on the other side of the river.",
    "He carried the heavy box up the stairs and set it down beside the window.",
    "Not today.",
    "Wash the apples, cut them into thin slices, and add a spoonful of sugar.",
    "The museum is closed on Mondays.",
    "From the top of the hill you can see the harbour, the lighthouse, and the open sea.",
    "Why does the cat sit in front of the cupboard all day?",
    "The lamp flickered once and went out.",
    "There were more chairs than guests at the meeting, so we moved to a smaller room.",
    "Go on, we are listening.",
    "The first frost came early that year and spoiled the last of the tomatoes.",
    "My watch is five minutes fast.",
    "If the wind turns, the fishermen will be home before dark.",
    "The old piano was out of tune, yet the children danced as if it were a great orchestra.",
    "Good evening.",
    "A narrow path leads along the wall, past the well, and out into the fields.",
    "They painted the fence green and the gate white.",
    "How much is a ticket for two?",
    "The shop sells rope, nails, candles, and almost everything else that a farmer needs.",
    "Hold the ladder while I fix the lamp.",
    "Most of the letters were short, and none of them mentioned the weather.",
    "After the storm the air was clear, and the mountains seemed close enough to touch.",
)
"""Decoded if the user gives no text: 3 to 90 characters, short and long mixed."""


def split_lines(text: str, source: str, voice: Voice) -> list[str]:
    """Split a text into utterances, one a line, that a voice can read; blank lines are skipped.

    Args:
        text: The text.
        source: Its name in errors.
        voice: The voice that will read the lines. It decides what can be read: figures are no text for every voice.

    Raises:
        UserError: There is no line, or one holds nothing that the voice can read.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        try:
            voice.text_ids(line)
        except UserError as error:
            raise UserError(f"{source}, line {number}: {error}; remove {line[:60]!r}") from error
    if not lines:
        raise UserError(f"{source}: holds no text; give one sentence a line")
    return [line for _, line in lines]


def built_in_sentences(voice: Voice) -> list[str]:
    """The English `SENTENCES`.

    Raises:
        UserError: The voice cannot read them: it reads ids, for example.
    """
    try:
        return split_lines("\n".join(SENTENCES), "built-in sentences", voice)
    except UserError as error:
        raise UserError(
            f"voice {voice.card.name!r} cannot read the built-in sentences; give lines with --text"
        ) from error


def choose_texts(texts: list[str], count: int | None, largest_batch: int) -> list[str]:
    """The first `count` texts; all if None.

    Raises:
        UserError: There are fewer than `count`; or too few to ever fill a batch of `largest_batch` rows, so that a
            figure for that batch size would be one for a smaller batch.
    """
    if count is not None and count > len(texts):
        raise UserError(f"--utterances {count}: there are only {len(texts)} texts; give more lines with --text")
    chosen = texts[:count]
    if largest_batch > len(chosen):
        raise UserError(
            f"batch size {largest_batch} cannot be filled by {len(chosen)} texts; "
            f"give at least {largest_batch} lines with --text, or a smaller batch size"
        )
    return chosen
