"""A class: learners who share one RabbitMQ, each with a user and virtual hosts that nobody else can see.

The teacher, an administrator of the broker, makes it from a roster with `workq class create`. For each learner:

- a user of RabbitMQ, named after the learner where no other can read that, with a generated password and the tags
  `management`, which gives the counts of the learner's own queues and shows nothing of others, and `workq-class`, by
  which the course knows its own;
- the virtual host of the same name, and beside it numbered ones for lessons
  (`workq_helpers.rabbitmq.borrowed_virtual_host` says why);
- permissions on these alone, and limits: of the user, of the virtual hosts, and by an operator policy of each queue.

Passwords are kept in one place besides RabbitMQ: the teacher's file, which is written before anything is created, so
that a run that is interrupted can be repeated and comes to the same end. What does not have the mark of the class is
never changed or deleted, whatever its name.

RabbitMQ before 4.3 tells anyone with the tag `management` the names and limits of all users that have limits, at
``/api/user-limits``. There the users are given random names instead of ones after the learners, so that a learner can
read how many others there are, and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.classroom.classroom import Classroom, Presence

__all__ = ["Classroom", "Presence"]

# Imported when first asked for: the command line knows this command too, whatever it is asked for.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"classroom": __all__})
