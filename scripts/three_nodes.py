"""Keeps what three nodes do: `.venv/bin/python scripts/three_nodes.py` writes it into the lesson "One of three dies".

There it is shown where three nodes can't be had. It needs three nodes, so no WORKQ_BROKER_URL.
"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pika

from workq_helpers.broker import start_cluster
from workq_helpers.lessons.one_of_three_dies.live_nodes import LiveNodes

KEPT = Path(__file__).parents[1] / "workq_helpers" / "lessons" / "one_of_three_dies" / "kept_run.json"


def main() -> int:
    """Do all that the lesson does, and write what came of it."""
    with start_cluster(print) as cluster:
        kept = {"rabbitmq": f"RabbitMQ {cluster.version}", "recorded": datetime.now(UTC).date().isoformat()}
        KEPT.write_text(json.dumps(kept | run(LiveNodes(cluster)), indent=1) + "\n", encoding="utf-8")
    return 0


def run(nodes: LiveNodes) -> dict[str, object]:
    """Return the pictures, the outages and the node that was reached."""
    declare_anew(nodes)
    pictures = {"at first": nodes.picture().to_json()}
    outages = {}
    for kind, deed, queue in (
        ("leader", nodes.kill_leader, "orders"),
        ("only copy", nodes.kill_leader, "classic_orders"),
        ("two", nodes.kill_two, "orders"),
        ("cut", nodes.cut_off_leader, "orders"),
    ):
        declare_anew(nodes)
        outage = deed(queue)
        pictures[kind] = nodes.picture().to_json()
        nodes.bring_back()
        pictures[f"{kind}, and back"] = nodes.picture().to_json()
        print(outage, outage.count(), sep="\n")
        outage.count_orders = None
        kept = asdict(outage) | {"counted": outage.counted._asdict() if outage.counted else None}
        outages[kind] = {name: value for name, value in kept.items() if name != "count_orders"}
    nodes.kill("node-1")
    pictures["killed"] = nodes.picture().to_json()
    with pika.BlockingConnection(nodes.addresses()) as connection:
        nodes.node_of(connection)
    return {"pictures": pictures, "outages": outages, "reached": nodes.reached}


def declare_anew(nodes: LiveNodes) -> None:
    """Declare the two queues of the lesson, empty."""
    with pika.BlockingConnection(nodes.addresses()) as connection:
        channel = connection.channel()
        for queue in ("orders", "classic_orders"):
            channel.queue_delete(queue=queue)
        channel.queue_declare(queue="orders", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_declare(queue="classic_orders", durable=True)


if __name__ == "__main__":
    sys.exit(main())
