"""The report of one run: what went in, what training did, what came out, and how to do it again.

contents.py gathers it from the run directory (people.py, examples.py, curves.py and origin.py each a part of it);
charts.py draws; page.py writes it down as HTML or Markdown.

Privacy. Without `with_text` a report holds no word of a chat and no name: senders are "the assistant", "person 1", ...;
of the config only numbers, choices and a few keys known to be harmless are shown, and what a step said when it failed
is left out, as it may list senders. The run's name and the model's suffix are shown: they are labels, which the backend
and everybody who uses the model sees too.
"""
