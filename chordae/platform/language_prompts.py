"""How the orchestrator's language tasks are put to a model: experts are trained on these words, and asked with them.

`cohort.language_tasks` makes training conversations of them; `deployments` asks with them. A change here makes the
experts that were trained before worse at these tasks. They are templates for `str.format`.
"""

DECOMPOSE_PROMPT = "Split the question by study, as JSON.\nStudies: {studies}\nQuestion: {question}"
"""`studies`: names as in `schemas.NAME_OF`, with commas between. Answer: {"ecg": "sub-query", ...}, one line."""

REPHRASE_PROMPT = "Say it in other words: {question}"
"""Answer: one question or request that asks for the same."""

SUMMARISE_PROMPT = "Summarise the answers in one or two sentences.\n{answers}"
"""`answers`: a line for each expert, its name before a colon."""
