"""What an answer is worth in stage 3: 1 for the right option, 0 for anything else, as MARCUS rewards it.

The reading is the one that evaluation counts (`grading.chosen_option`): words before letters, and nothing for an answer
that names more than one option or none. There is no reward for format or length.
"""

from chordae.cohort.findings import topics
from chordae.cohort.questions import Mcq
from chordae.learning.grading import chosen_option


def chose_right(mcq: Mcq, answer: str) -> float:
    """1.0 if `answer` chose the right option of `mcq`, else 0.0.

    Source: group-relative optimisation with a 1/0 reward on the chosen option (MARCUS, stage 3).
    """
    topic = next(topic for topic in topics(mcq.modality) if topic.key == mcq.topic)
    return float(chosen_option(answer, mcq.options, topic) == mcq.correct)
