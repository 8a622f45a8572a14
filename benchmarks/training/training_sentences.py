"""Sentences that the demo model was trained on: put together at random, none of them from ``sentences.csv``."""

from __future__ import annotations

import random

__all__ = ["training_sentences"]

_WHO = (
    "the baker|a sailor|my cousin|their neighbor|the tall pilot|an honest thief|the queen|your aunt|the painter"
    "|two guards|a shy student|the mayor|our guide|the jeweler|a hungry fox|the goat|nine geese|the youngest twin"
    "|a nurse from Oxford|the butcher|Joyce|George|Vivian|Zachary|Theodore|Charlotte|Shirley|Hugh|Beth|Paul"
    "|the chief engineer|a choir of boys|the zebra|an old wizard|the yacht club|the usher|a juggler|the giant"
)
_DOES = (
    "measured|painted|shook|borrowed|polished|guarded|threw|noticed|described|buried|judged|chose|repaired|sketched"
    "|weighed|followed|auctioned|whistled at|dreamed about|argued over|laughed at|paid for|gazed at|searched for"
    "|crushed|loosened|rescued|photographed|avoided|praised|bought|caught|hid|sewed|pulled|stretched|enjoyed"
)
_WHAT = (
    "a rusty hinge|the purple kite|seven oysters|a bowl of noodles|the wooden puppet|those ancient maps"
    "|a silver thimble|the broken toy|thirty pounds of wool|a pouch of herbs|the marble statue"
    "|an azure vase|the huge cabbage|a jar of honey|the northern lighthouse|a vicious badger|some cheap shampoo"
    "|the azalea bush|four leather boots|a loud trumpet"
    "|the vague rumor|a chunk of ice|the empty coffin|an oily sponge|the wagon wheels|a sharp chisel|the oyster soup"
    "|a cloud of moths|his faded uniform|the royal barge|a garage door|five quiet mice|the usual casual visitor"
)
_WHERE = (
    "behind the cathedral|near the foggy shore|at dawn|beneath the oak|under a pale moon|on Thursday|before breakfast"
    "|beyond the ruined tower|in the attic|during the flood|with obvious joy|without much thought|after the auction"
    "|beside the canal|among the ferns|in the middle of July|along the eastern border|at the zoo|with both thumbs"
    "|for a dollar|in total silence|through the tunnel|by accident|on a narrow ledge|in spite of the heat"
)
_START = (
    "|||||Yesterday |Perhaps |By chance |Once again |At midnight |Rather slowly |To our surprise |Near the quay "
    "|Of course "
)
_TAIL = (
    "||||, and then vanished|, but nobody cared|, though it was forbidden|, which pleased the crowd"
    "|, or so they claimed|, while the bells chimed|, yet the joke fell flat|, because the gauge was wrong"
)
_QUESTION = (
    "Why did {who} want {what} {where}?|Has {who} ever {does} {what}?|Could {who} have {does} {what} {where}?"
    "|Which of us knows how {who} {does} {what}?|Who says that {who} {does} {what} {where}?"
)


def training_sentences(count: int, seed: int = 0) -> list[str]:
    """Put together ``count`` sentences, every fifth a question; the same for a seed, none twice."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    who, does, what, where = (part.split("|") for part in (_WHO, _DOES, _WHAT, _WHERE))
    starts, tails, questions = _START.split("|"), _TAIL.split("|"), _QUESTION.split("|")
    found: dict[str, None] = {}
    while len(found) < count:
        words = {"who": rng.choice(who), "does": rng.choice(does), "what": rng.choice(what), "where": rng.choice(where)}
        if len(found) % 5 == 4:
            sentence = rng.choice(questions).format(**words)
        else:
            body = "{who} {does} {what} {where}".format(**words)
            sentence = rng.choice(starts) + body + rng.choice(tails) + "."
        found[sentence[0].upper() + sentence[1:]] = None
    return list(found)
