"""A port that can be shut."""

from __future__ import annotations

import asyncio
import contextlib

from tests.support import is_refused
from workq_helpers.clients.door import Door


def test_a_door_that_is_shut_is_refused_whenever_its_opening_was_given_up() -> None:
    async def turn() -> None:
        door = Door(asyncio.get_running_loop(), asyncio.Protocol)
        for turns in range(5):
            opening = asyncio.create_task(door.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            await door.shut()
            assert is_refused(door.port), turns
        await door.open()
        assert not is_refused(door.port)
        await door.remove()
        await door.open()
        assert is_refused(door.port)

    asyncio.run(turn())
