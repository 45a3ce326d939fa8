"""Cron schedules: five fields of numbers or names, lists, ranges and steps. Checked here, run by the scheduler."""

import re

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_WORDS = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


def parse_cron(text: str) -> str:
    """The schedule with single spaces; raises ValueError naming the first field that is wrong."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f'"{text}" is no cron schedule; write five fields such as "0 3 * * *"')
    for part, (name, low, high) in zip(parts, _FIELDS, strict=True):
        if not all(_allowed(item, name, low, high) for item in part.split(",")):
            raise ValueError(f'"{part}" is no {name} of a cron schedule; it goes from {low} to {high}, or * for every')
    return " ".join(parts)


def _allowed(item: str, name: str, low: int, high: int) -> bool:
    span, slash, step = item.partition("/")
    if slash and not re.fullmatch(r"[1-9]\d*", step):
        return False
    ends = [_number(end, name) for end in span.split("-")]
    return span == "*" or (len(ends) <= 2 and all(low <= e <= high for e in ends) and ends == sorted(ends))


def _number(text: str, name: str) -> int:
    words = _WORDS.get(name, [])
    if text.lower() in words:
        return words.index(text.lower()) + (name == "month")
    return int(text) if re.fullmatch(r"\d{1,2}", text) else -1
