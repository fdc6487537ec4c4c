"""A labelled set for retrieval, made from a fixed seed: conversations, questions, and the message that answers each.

Each fact has a subject (a project with a made-up name) and a topic. The question tells both in other words than the
answer: synonyms, another sentence. Distractors: every subject has several topics, every topic many subjects, and
the question's own words stand in messages that answer something else. A part of the questions hangs on a name or code,
where letters tell more than meaning.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question and the text that answers it, found in one message of all."""

    text: str
    answer: str


# topic: (ways to say it in a message, ways to ask for it); {s} = the subject, {v} = a value
_TOPICS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (
        ("We host {s} on rented machines in {v}.", "{s} runs in a data centre near {v}."),
        ("Where are the servers of {s} located?", "Which city holds the hardware behind {s}?"),
    ),
    (
        ("{v} is in charge of {s} from now on.", "The lead of {s} is {v}."),
        ("Who manages {s}?", "Name the person responsible for {s}."),
    ),
    (
        ("We got {v} euros to spend on {s} this year.", "Finance gave {s} {v} euros."),
        ("What is the budget of {s}?", "How much money was granted to {s}?"),
    ),
    (
        ("{s} has to be finished by {v}.", "The client expects {s} on {v}, no later."),
        ("What is the deadline for {s}?", "When must we deliver {s}?"),
    ),
    (
        ("{s} crashed again because the {v} ran full.", "Last night {s} went down, the {v} was the cause."),
        ("Why did {s} have an outage?", "What made {s} fail?"),
    ),
    (
        ("Everything in {s} is written in {v}.", "The developers of {s} chose {v}."),
        ("Which programming language does {s} use?", "What is {s} coded in?"),
    ),
    (
        ("Visitors complain that the {v} page of {s} takes ages.", "On {s} the {v} page crawls."),
        ("Which part of {s} is slow?", "What do users of {s} find sluggish?"),
    ),
    (
        ("For {s} we keep copies for {v} days.", "Snapshots of {s} are thrown away after {v} days."),
        ("How long are backups of {s} retained?", "What is the retention of saved data for {s}?"),
    ),
    (
        ("Anna paints {v} for the opening of {s}.", "The artwork for {s} shows {v}."),
        ("What picture was made for {s}?", "Which motif does the illustration of {s} have?"),
    ),
    (
        ("The team of {s} eats {v} every Friday.", "After work, the people around {s} cook {v}."),
        ("Which food does the {s} group share?", "What is the favourite dish of the {s} crew?"),
    ),
]
_VALUES: list[list[str]] = [
    ["Helsinki", "Falkenstein", "Ashburn", "Singapore", "Nuremberg", "Lyon", "Porto", "Graz", "Turin", "Oslo"],
    ["Mira", "Jonas", "Priya", "Tomasz", "Ines", "Kofi", "Yuki", "Lena", "Omar", "Chloe"],
    ["12000", "25000", "40000", "61000", "75000", "90000", "110000", "135000", "150000", "180000"],
    ["3 March", "17 May", "9 June", "21 July", "30 August", "12 October", "5 November", "24 January"],
    ["disk", "log partition", "connection pool", "message queue", "memory", "inode table", "certificate store"],
    ["Rust", "Elixir", "Kotlin", "Haskell", "Go", "Erlang", "TypeScript", "Scala", "OCaml", "Swift"],
    ["checkout", "search", "login", "profile", "report", "gallery", "calendar", "invoice", "map"],
    ["7", "14", "21", "30", "45", "60", "90", "120", "180", "365"],
    ["a lighthouse", "two herons", "a steam train", "a sleeping fox", "a market square", "an orchard"],
    ["ramen", "pierogi", "lasagne", "curry", "tacos", "dumplings", "paella", "fondue", "falafel"],
]
_FIRST = ["Blue", "Silver", "Quiet", "North", "Amber", "Iron", "Velvet", "Hidden", "Rapid", "Lunar", "Coral", "Maple"]
_SECOND = ["Falcon", "Harbour", "Lantern", "Meadow", "Comet", "Bridge", "Otter", "Canyon", "Willow", "Beacon"]
_SMALL_TALK = [
    "Which of the {w} should we look at first?", "I am not sure about the {w}, let us ask again tomorrow.",
    "Thanks, that explains the {w}.", "Who manages the {w} these days?", "What is the deadline for the {w}?",
    "How much money was granted to the {w}?", "Where are the servers of the {w} located?",
    "Why did the {w} have an outage?", "Please name the person responsible for the {w}.",
]  # fmt: skip
_THINGS = ["report", "backlog", "meeting", "printer", "newsletter", "contract", "intranet", "roadmap", "survey"]


@dataclass(frozen=True)
class Labelled:
    """Conversations (label, messages) and the questions about them."""

    conversations: list[tuple[str, list[str]]]
    questions: list[Question]


def labelled(seed: int = 4, conversations: int = 400, questions: int = 300) -> Labelled:
    """The set; the same for the same arguments."""
    chance = random.Random(seed)
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    subjects = chance.sample(names, k=min(100, conversations // 4))
    facts: list[tuple[str, int, str]] = []
    for subject in subjects:
        for topic in chance.sample(range(len(_TOPICS)), k=8):
            value = chance.choice(_VALUES[topic])
            facts.append((subject, topic, chance.choice(_TOPICS[topic][0]).format(s=subject, v=value)))
    chance.shuffle(facts)
    asked = [
        Question(chance.choice(_TOPICS[topic][1]).format(s=subject), answer)
        for subject, topic, answer in facts[: questions - questions // 5]
    ]
    made: list[tuple[str, list[str]]] = [(f"talk {i}", []) for i in range(conversations)]
    for number, (_, _, answer) in enumerate(facts):
        made[number % conversations][1].append(answer)
    for number in range(questions // 5):  # letters tell: codes that mean nothing
        code, action = f"{chance.choice('ABCDEFGH')}X-{chance.randrange(100, 999)}{number:02}", chance.choice(_THINGS)
        answer = f"Ticket {code} is about the {action} and waits for a reply."
        made[chance.randrange(conversations)][1].append(answer)
        asked.append(Question(f"What was {code} about?", answer))
    for _, messages in made:
        for _ in range(2):
            talk = chance.choice(_SMALL_TALK).format(w=chance.choice(_THINGS))
            messages.insert(chance.randrange(len(messages) + 1), talk)
    return Labelled(made, asked)
