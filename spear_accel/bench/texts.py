"""What is decoded in a benchmark: everyday sentences of mixed length, or lines that the user gives.

Knows no voice, no method and no file.
"""

from __future__ import annotations

from spear_accel.errors import UserError
from spear_accel.text import normalise

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
"""Used where the user gives no text: 3 to 90 characters, short and long mixed."""


def split_lines(text: str, source: str) -> list[str]:
    """One utterance a line; blank lines are passed over. `source` names the text in errors.

    Raises UserError: there is no line, or one holds nothing that can be read aloud.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if not normalise(line).text:
            raise UserError(f"{source}, line {number}: nothing can be read aloud in {line.strip()[:60]!r}; remove it")
        found.append(line.strip())
    if not found:
        raise UserError(f"{source}: holds no text; give one sentence a line")
    return found


def choose_texts(texts: list[str], count: int | None, largest_batch: int) -> list[str]:
    """The first `count` texts, all where None.

    Raises UserError: there are fewer than `count`, or too few for a batch of `largest_batch` rows ever to be full (a
    figure for that batch size would be one for a smaller batch).
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
