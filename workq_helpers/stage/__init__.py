"""The stage: a live view of the lesson's RabbitMQ in the notebook, with controls.

Data flows one way: the log → `Scene`, up to the moment that the `Playhead` shows → a frame → the widget,
whose JavaScript only draws it. What a learner presses comes back as a command and becomes a `Call`: the
Python that does the same.
"""

from workq_helpers.stage.stage import Stage

__all__ = ["Stage"]
