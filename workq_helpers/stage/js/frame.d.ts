// What Python sends for each moment. Made from workq_helpers/stage/frame.py by `make bundle`: change it there.

export interface Action {
  enabled: boolean;
  why: string;
}

export interface BindingLine {
  destination: string;
  kind: "queue" | "exchange";
  routing_key: string;
}

export interface BrokerBar {
  name: string;
  found: string;
  state: "up" | "stopping" | "down" | "coming back";
  steerable: boolean;
  why_not: string;
}

export type BrokerState = "up" | "stopping" | "down" | "coming back";

export interface CallLine {
  number: number;
  code: string;
}

export interface Chip {
  key: number;
  task: string;
  dots: number;
  persistent: boolean | null;
  redelivered: boolean;
  deliveries: number;
  worked: number;
  back_from: string;
}

export interface ClusterCard {
  nodes: NodeCard[];
  deed: string;
  confirmed: number | null;
}

export interface Contents {
  publishers: PublisherColumn;
  queues: QueueCard[];
  resting: string[];
  more_queues: number;
  workers: WorkerCard[];
  more_workers: number;
  ends: Record<string, EndList>;
  cluster: ClusterCard | null;
  story: StoryLine[];
  summary: string;
}

export interface DeadLetterRoute {
  queue: string;
  exchange: string;
  routing_key: string;
}

export interface EndList {
  count: number;
  recent: Chip[];
}

export interface ExchangeCard {
  name: string;
  type: string;
  bindings: BindingLine[];
  more: number;
}

export interface Frame {
  publishers: PublisherColumn;
  queues: QueueCard[];
  resting: string[];
  more_queues: number;
  workers: WorkerCard[];
  more_workers: number;
  ends: Record<string, EndList>;
  cluster: ClusterCard | null;
  story: StoryLine[];
  summary: string;
  exchanges: ExchangeCard[];
  more_exchanges: number;
  dead_letters: DeadLetterRoute[];
  number: number;
  lesson: string;
  closed: string;
  during: string;
  playback: PlaybackBar;
  broker: BrokerBar;
  controls: string[];
  actions: Record<string, Action>;
  queue: string;
  python: CallLine[];
  notices: Notice[];
}

export interface Ghosts {
  count: number;
  recent: Chip[];
  why: string;
}

export type MarkKind = "" | "kill" | "crash" | "outage" | "loss";

export type Mode = "live" | "paused" | "replaying";

export interface Moment {
  publishers: PublisherColumn;
  queues: QueueCard[];
  resting: string[];
  more_queues: number;
  workers: WorkerCard[];
  more_workers: number;
  ends: Record<string, EndList>;
  cluster: ClusterCard | null;
  story: StoryLine[];
  summary: string;
  broker_state: "up" | "stopping" | "down" | "coming back";
}

export interface NodeCard {
  name: string;
  state: "up" | "down" | "cut off";
  copies: QueueCopyLine[];
}

export type NodeState = "up" | "down" | "cut off";

export interface Notice {
  number: number;
  level: "info" | "error";
  text: string;
}

export type Phase = "dispatched" | "working" | "finished";

export interface PlaybackBar {
  mode: "live" | "paused" | "replaying";
  speed: number;
  seconds: number;
  end_seconds: number;
  event: number;
  events: number;
  caption: string;
  marks: StoryLine[];
}

export interface PublisherColumn {
  published: number;
  confirmed: number;
  refused: number;
  returned: number;
  active: PublisherLine[];
  more: number;
}

export interface PublisherLine {
  name: string;
  state: string;
  published: number;
}

export interface QueueCard {
  name: string;
  durability: string;
  type: string;
  gone: boolean;
  ready: QueueCount;
  unacknowledged: QueueCount;
  waiting: Chip[];
  more: number;
  ghosts: Ghosts;
  unseen: number;
}

export interface QueueCopyLine {
  queue: string;
  role: "leader" | "follower" | "the only copy";
}

export interface QueueCount {
  broker: number | null;
  log: number;
}

export interface Recorded {
  publishers: PublisherColumn;
  queues: QueueCard[];
  resting: string[];
  more_queues: number;
  workers: WorkerCard[];
  more_workers: number;
  ends: Record<string, EndList>;
  cluster: ClusterCard | null;
  story: StoryLine[];
  summary: string;
  broker_state: "up" | "stopping" | "down" | "coming back";
  exchanges: ExchangeCard[];
  more_exchanges: number;
  dead_letters: DeadLetterRoute[];
}

export interface Slot {
  key: number;
  task: string;
  dots: number;
  persistent: boolean | null;
  redelivered: boolean;
  deliveries: number;
  worked: number;
  back_from: string;
  phase: "dispatched" | "working" | "finished";
}

export interface StoryLine {
  number: number;
  seconds: number;
  text: string;
  mark: "" | "kill" | "crash" | "outage" | "loss";
}

export interface Topology {
  exchanges: ExchangeCard[];
  more_exchanges: number;
  dead_letters: DeadLetterRoute[];
}

export interface Work {
  key: number;
  task: string;
  dots: number;
  elapsed_seconds: number;
  work_seconds: number;
  running: boolean;
  settled: boolean;
}

export interface WorkerCard {
  name: string;
  queue: string;
  program: string | null;
  state: "starting" | "idle" | "busy" | "holding" | "frozen" | "reconnecting" | "disconnected" | "stopping" | "stopped" | "killed" | "crashed";
  ack: "auto" | "manual";
  prefetch_count: number;
  done: number;
  slots: Slot[];
  more: number;
  free: number | null;
  busy_with: Work | null;
  console: string[];
  dropped: string;
}

export type WorkerState = "starting" | "idle" | "busy" | "holding" | "frozen" | "reconnecting" | "disconnected" | "stopping" | "stopped" | "killed" | "crashed";
