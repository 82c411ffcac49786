// Sample frames, as Python sends them: one for each scene that the stage must draw well.

let nextKey = 1000;

/** A message; its dots are those of its text. */
export function chip(task, more = {}) {
  const deliveries = more.deliveries ?? 0;
  return {
    key: nextKey++,
    task,
    dots: task.split(".").length - 1,
    persistent: false,
    redelivered: deliveries > 1,
    deliveries,
    worked: 0,
    ...more,
  };
}

export function queue(name, more = {}) {
  const waiting = more.waiting ?? [];
  const ready = waiting.length + (more.more ?? 0);
  return {
    name,
    durability: "transient",
    type: "classic",
    gone: false,
    ready: { broker: ready, log: ready },
    unacknowledged: { broker: 0, log: 0 },
    waiting,
    more: 0,
    ...more,
  };
}

export function worker(name, more = {}) {
  return {
    name,
    queue: "hello",
    state: "idle",
    ack: "manual",
    prefetch_count: 1,
    done: 0,
    slots: [],
    more: 0,
    free: 1,
    busy_with: null,
    console: [" [*] Waiting for messages. To exit press CTRL+C"],
    ...more,
  };
}

/** The bar of a task in work. */
export function busy(message, elapsed_seconds = 0, more = {}) {
  return {
    key: message.key,
    task: message.task,
    dots: message.dots,
    elapsed_seconds,
    work_seconds: message.dots,
    running: true,
    settled: false,
    ...more,
  };
}

const slot = (message, phase) => ({ ...message, phase });
const end = (recent = [], count = recent.length) => ({ count, recent });

export function frame(more = {}) {
  return {
    number: 1,
    lesson: "round-robin",
    closed: "",
    playback: { mode: "live", seconds: 0, end_seconds: 0, event: 0, events: 0, caption: "" },
    broker: {
      name: "RabbitMQ 4.3.6",
      found: "Docker, container 3f9a12c04b7e",
      state: "up",
      steerable: true,
      why_not: "",
    },
    publishers: { published: 0, confirmed: 0, refused: 0, returned: 0, active: [], more: 0 },
    queues: [],
    more_queues: 0,
    workers: [],
    more_workers: 0,
    queue: "hello",
    python: [],
    notices: [],
    summary: "Nothing has happened yet.",
    actions: {},
    ...more,
    ends: { done: end(), lost: end(), discarded: end(), returned: end(), refused: end(), ...more.ends },
  };
}

export const empty = () => frame();

/** The tutorial: two workers, five tasks and a few more. */
export function tutorial() {
  const [first, second, third, fourth, fifth] = [
    "First message.",
    "Second message..",
    "Third message...",
    "Fourth message....",
    "Fifth message.....",
  ].map((task) => chip(task, { deliveries: 1, worked: 1 }));
  const waiting = [
    "Hello...",
    "A longer task, which nobody will want to wait for.........",
    "Again.",
    "Quick",
    "Last..",
  ].map((task, index) => chip(task, { persistent: index % 2 === 1 }));
  return frame({
    number: 57,
    playback: { mode: "live", seconds: 12.4, end_seconds: 12.4, event: 34, events: 34, caption: "" },
    publishers: {
      published: 10,
      confirmed: 3,
      refused: 0,
      returned: 0,
      active: [{ name: "publisher-1", state: "publishing", published: 10 }],
      more: 0,
    },
    queues: [queue("hello", { waiting, unacknowledged: { broker: 3, log: 3 } })],
    workers: [
      worker("worker-1", {
        state: "busy",
        done: 1,
        free: 0,
        slots: [slot(third, "working")],
        busy_with: busy(third, 1.1),
        console: [
          " [*] Waiting for messages. To exit press CTRL+C",
          " [x] Received First message.",
          " [x] Done",
          " [x] Received Third message...",
        ],
      }),
      worker("worker-2", {
        state: "busy",
        done: 1,
        prefetch_count: 5,
        free: 3,
        slots: [slot(fourth, "working"), slot(fifth, "dispatched")],
        busy_with: busy(fourth, 0.4),
        console: [
          " [*] Waiting for messages. To exit press CTRL+C",
          " [x] Received Second message..",
          " [x] Done",
          " [x] Received Fourth message....",
        ],
      }),
    ],
    ends: { done: end([second, first]) },
    python: [
      { number: 1, code: 'lesson.start_publisher(["Hello..."], queue="hello")' },
      {
        number: 2,
        code: 'from workq_helpers import print_work_and_ack\nlesson.start_worker(print_work_and_ack, queue="hello", prefetch_count=1)',
      },
    ],
    notices: [{ number: 1, level: "info", text: "worker-2 takes tasks from hello." }],
    summary: "Queue hello: 5 ready, 3 unacknowledged. Workers: 2 busy. Tasks: 2 done.",
  });
}

/** Two workers were killed: one's task went back and is worked on again, the other's tasks are lost. */
export function killed() {
  const again = chip("Third message...", { deliveries: 2, worked: 2, redelivered: true, persistent: true });
  const back = chip("Fourth message....", { deliveries: 1, worked: 1, redelivered: true });
  const held = chip("Fifth message.....", { deliveries: 1 });
  const early = chip("Acknowledged too late.", { deliveries: 1, worked: 1 });
  const frozenTask = chip("Deep freeze.....", { deliveries: 1, worked: 1 });
  return frame({
    number: 90,
    playback: { mode: "live", seconds: 31.9, end_seconds: 31.9, event: 71, events: 71, caption: "" },
    publishers: { published: 12, confirmed: 12, refused: 0, returned: 1, active: [], more: 0 },
    queues: [
      queue("task_queue", {
        durability: "durable",
        waiting: [back, chip("Sixth.", { persistent: true })],
        ready: { broker: null, log: 2 },
        unacknowledged: { broker: null, log: 4 },
      }),
    ],
    queue: "task_queue",
    workers: [
      worker("worker-1", {
        queue: "task_queue",
        state: "killed",
        done: 2,
        free: 0,
        console: [" [x] Received Third message..."],
      }),
      worker("worker-2", {
        queue: "task_queue",
        state: "busy",
        done: 3,
        prefetch_count: 0,
        free: null,
        slots: [slot(early, "finished"), slot(again, "working"), slot(held, "dispatched")],
        busy_with: busy(again, 1.5),
        console: [" [x] Received Second message..", " [x] Done", " [x] Received Third message..."],
      }),
      worker("worker-3", { queue: "task_queue", state: "killed", ack: "auto", prefetch_count: 0, done: 1, free: 0 }),
      worker("worker-4", {
        queue: "task_queue",
        state: "frozen",
        done: 0,
        free: 0,
        slots: [slot(frozenTask, "working")],
        busy_with: busy(frozenTask, 2.5, { running: false }),
        console: [" [x] Received Deep freeze....."],
      }),
      worker("worker-5", { queue: "task_queue", state: "reconnecting", console: [] }),
    ].slice(0, 4),
    ends: {
      done: end(
        ["First message.", "Second message..", "Zeroth"].map((task) => chip(task, { deliveries: 1, worked: 1 })),
      ),
      lost: end(["Invoice 17....", "Invoice 18.."].map((task) => chip(task, { deliveries: 1, worked: 1 }))),
      returned: end([chip("Nobody home.")]),
      discarded: end([chip("Poison", { deliveries: 2, redelivered: true, worked: 2 })]),
    },
    notices: [
      { number: 4, level: "info", text: "worker-1 was killed: its task went back to task_queue." },
      {
        number: 5,
        level: "error",
        text: "worker-3 was killed with 2 tasks in hand. It had auto ack, so they are lost.",
      },
    ],
    summary: "Queue task_queue: 2 ready, 4 unacknowledged. Workers: 2 killed, 1 busy, 1 frozen. Tasks: 3 done, 2 lost.",
  });
}

/** Fifty workers with eight chips each and a backlog of 100,000. `step` moves everything on. */
export function flood(step = 0, workers = 50, backlog = 100_000) {
  const message = (number) => ({
    key: number,
    task: `Task ${number}${".".repeat(number % 4)}`,
    dots: number % 4,
    persistent: number % 2 === 0,
    redelivered: number % 17 === 0,
    deliveries: 1,
    worked: number % 34 === 0 ? 2 : 1,
  });
  let number = 1 + step * (workers * 3);
  const done = Array.from({ length: 12 }, (_, index) => message(number + 11 - index));
  number += 12;
  const cards = Array.from({ length: workers }, (_, index) => {
    const slots = Array.from({ length: 8 }, (_, place) =>
      slot(message(number++), place === 0 ? "working" : "dispatched"),
    );
    const name = `worker-${index + 1}`;
    const unlimited = index % 10 === 9;
    return worker(name, {
      state: "busy",
      done: step * 3 + index,
      prefetch_count: unlimited ? 0 : 10,
      slots,
      more: 1,
      free: unlimited ? null : 1,
      busy_with: busy(slots[0], 0.1),
      console: index < 12 ? [` [x] Received ${slots[0].task}`, " [x] Done"] : "",
    });
  });
  const waiting = Array.from({ length: 12 }, () => message(number++));
  return frame({
    number: 100 + step,
    playback: {
      mode: "live",
      seconds: 40 + step / 10,
      end_seconds: 40 + step / 10,
      event: 123_456 + step * 450,
      events: 123_456 + step * 450,
      caption: "",
    },
    publishers: {
      published: 150_000 + step * 150,
      confirmed: 0,
      refused: 0,
      returned: 0,
      active: [{ name: "publisher-1", state: "publishing", published: 150_000 + step * 150 }],
      more: 0,
    },
    queues: [queue("hello", { waiting, more: backlog - 12, unacknowledged: { broker: 449, log: 450 } })],
    workers: cards,
    ends: { done: end(done, 50_000 + step * 150) },
    summary: `Queue hello: ${backlog} ready, 450 unacknowledged. Workers: ${workers} busy.`,
  });
}

export function paused() {
  const it = tutorial();
  it.playback = {
    mode: "paused",
    seconds: 7.3,
    end_seconds: 12.4,
    event: 20,
    events: 34,
    caption: "Paused at 7.3 s. RabbitMQ goes on.",
  };
  for (const one of it.workers) one.busy_with.running = false;
  return it;
}

export function notSteerable() {
  const it = tutorial();
  const why =
    "This RabbitMQ was not started by the course, so it is not restarted from here. " +
    "Unset WORKQ_BROKER_URL and open the lesson again to use one of the course's own.";
  it.broker = {
    name: "RabbitMQ 3.10.8",
    found: "WORKQ_BROKER_URL, rabbit.example.org:5672",
    state: "up",
    steerable: false,
    why_not: why,
  };
  it.actions = { restart: { enabled: false, why }, crash: { enabled: false, why } };
  return it;
}

export function down() {
  const it = killed();
  it.broker.state = "down";
  it.workers = it.workers.map((one) =>
    one.state === "killed"
      ? one
      : { ...one, state: "reconnecting", slots: [], busy_with: null, free: one.prefetch_count || null },
  );
  it.queues[0].unacknowledged = { broker: null, log: 0 };
  return it;
}

export function closed() {
  return { ...tutorial(), closed: "The lesson round-robin is closed. Run its first cell again to open it." };
}

/** Texts that would do harm as markup, and texts that are too long. */
export function hostile() {
  const attack = "<img src=x onerror=alert(1)>";
  const long = "A task whose text is far too long for any chip to show it ..";
  const held = chip(`${attack}.`, { deliveries: 1, worked: 1 });
  return frame({
    number: 3,
    lesson: attack,
    broker: { name: attack, found: attack, state: "up", steerable: true, why_not: "" },
    queues: [
      queue(attack, {
        waiting: [
          chip(attack),
          chip(long),
          chip(""),
          chip("</li><script>alert(1)</script>"),
          chip("\u202Eright to left"),
          chip("many dots....................", { persistent: null }),
        ],
      }),
    ],
    queue: attack,
    workers: [
      worker(attack, {
        queue: attack,
        state: "busy",
        slots: [slot(held, "working")],
        busy_with: busy(held),
        free: 0,
        console: [attack, long.repeat(3)],
      }),
    ],
    ends: { done: end([chip(attack)]), lost: end([chip(long)]) },
    python: [{ number: 1, code: `lesson.start_publisher(["${attack}"], queue="hello")` }],
    notices: [{ number: 1, level: "error", text: attack }],
    summary: attack,
  });
}

export function manyQueues() {
  const it = tutorial();
  it.queues = ["hello", "task_queue", "logs", "a.very.long.queue.name.that.does.not.fit"].map((name, index) =>
    queue(name, {
      waiting: Array.from({ length: 6 }, (_, n) => chip(`${name} ${n}..`)),
      more: index * 10,
      durability: index % 2 ? "durable" : "transient",
      type: index === 2 ? "quorum" : "classic",
      gone: index === 2,
    }),
  );
  it.more_queues = 3;
  return it;
}

export const scenes = { empty, tutorial, killed, flood, paused, notSteerable, down, closed, hostile, manyQueues };
