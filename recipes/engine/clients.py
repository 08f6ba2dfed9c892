"""Eight clients on one engine: each with its own temperature and seed, two that leave midway, one that streams.

They share one batch, and each gets exactly the tokens that it would get alone. Usage: clients.py [VOICE]
"""

import sys
from threading import Thread

from spear_accel import DecodeOptions, Voice

TEXTS = (
    "Good morning.", "The train leaves at nine.", "Where is the nearest station?", "It rained all day.",
    "She closed the door.", "Two coffees, please.", "The meeting is on Monday.", "Turn left at the bridge.",
)  # fmt: skip
LEAVING, STREAMING = (2, 5), 7
OPTIONS = [DecodeOptions(temperature=0.1 * number, seed=number) for number in range(8)]


def client(number: int) -> None:
    chunks = (10, 20) if number == STREAMING else (1,) if number in LEAVING else None
    with engine.session() as session:
        session.add(voice.request(TEXTS[number], OPTIONS[number], stream=chunks))
        for output in session.outputs():
            heard[number] += output.new_tokens.tolist()
            if number in LEAVING and len(heard[number]) >= 15:
                return  # leaving the session aborts what is unfinished


voice = Voice.load(sys.argv[1] if len(sys.argv) > 1 else "kathleen")
engine = voice.engine(DecodeOptions(batch_size=8))
engine.start()
heard: list[list[int]] = [[] for _ in TEXTS]
threads = [Thread(target=client, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for number, thread in enumerate(threads):
    thread.join()
    alone = voice.text_to_semantic([TEXTS[number]], OPTIONS[number]).tokens[0].tolist()
    assert heard[number] == (alone[: len(heard[number])] if number in LEAVING else alone), TEXTS[number]
    print(f"client {number}: {len(heard[number])} of {len(alone)} tokens, the same as alone")
