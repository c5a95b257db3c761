"""Messages to a support desk made up, the column of texts that the documents speak of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas

GREETINGS = ["Hi,", "Hello,", "Good morning,", "Hey there,", "Dear team,", ""]
THINGS = ["invoice", "password", "account", "order", "delivery", "subscription", "refund", "address", "app", "contract"]
REQUESTS = [
    "I cannot find my {thing} anywhere.",
    "could you please resend the {thing} of last month?",
    "how do I change my {thing}?",
    "my {thing} has not arrived yet.",
    "the {thing} page shows an error since yesterday.",
    "please cancel my {thing}.",
    "is there a way to download the {thing}?",
    "I was charged twice for my {thing}.",
    "who can help me with the {thing}?",
    "the {thing} is not what I expected.",
]
ENDINGS = ["Thanks!", "Thank you.", "Best regards", "Cheers", "Kind regards, Kim", ""]
STRANGE = {
    17: "WINNER!! Claim your £1,000 prize NOW, call 0906-170-1461 before 6pm",
    58: "SELECT * FROM users WHERE name = '' OR 1 = 1; --",
    104: "the boiler room is flooding and nobody answers the emergency line",
    163: "asdkjh qwpoei zmxncb",
    181: "https://bit.example/3xQ9 https://bit.example/7pLm https://bit.example/9aZt",
}


def messages(count: int, *, seed: int, first: int) -> pandas.DataFrame:
    """Make up messages of customers."""
    rng = np.random.default_rng(seed)

    def one() -> str:
        request = str(rng.choice(REQUESTS)).format(thing=rng.choice(THINGS))
        return " ".join(part for part in (str(rng.choice(GREETINGS)), request, str(rng.choice(ENDINGS))) if part)

    return pandas.DataFrame(
        {"ticket": [f"t-{number:04d}" for number in range(first, first + count)], "body": [one() for _ in range(count)]}
    )


def with_strangers(new: pandas.DataFrame) -> pandas.DataFrame:
    """Put five messages that do not belong among 200."""
    changed = new.copy()
    for place, text in STRANGE.items():
        changed.loc[place, "body"] = text
    return changed


def write_messages(folder: Path) -> None:
    """Write messages.csv, new_messages.csv with strangers, and both as text files, a message a line."""
    normal, new = messages(600, seed=0, first=1), with_strangers(messages(200, seed=1, first=2_001))
    for name, rows in (("messages", normal), ("new_messages", new)):
        rows.to_csv(folder / f"{name}.csv", index=False)
        (folder / f"{name}.txt").write_text("\n".join(rows["body"]) + "\n", encoding="utf-8")


def write_labelled(folder: Path) -> None:
    """Write desk.csv: 200 messages of which it is known which do not belong."""
    rows = with_strangers(messages(200, seed=3, first=1)).rename(columns={"body": "text"})
    rows["label"] = ["spam" if place in STRANGE else "ham" for place in rows.index]
    folder.mkdir()
    rows.to_csv(folder / "desk.csv", index=False)
