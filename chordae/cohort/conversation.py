"""What a model is taught or asked: questions with their true answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """A question and its true answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """Turns about one picture or video, or, where `picture` is false, without any."""

    turns: tuple[Turn, ...]
    picture: bool
