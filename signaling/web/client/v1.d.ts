// Types of v1.js: Turnpike's client module (docs/client.md).

/** Any value that JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface JoinOptions {
  /** The server, "https://turn.example" or "wss://turn.example/ws". Default: where v1.js came from. */
  url?: string;
  /** Seen by the others; up to 64 characters. */
  name?: string;
  /** An invitation brings relay credentials (and opens a room that asks for tokens). */
  invitation?: string;
  /** A room token, where the server asks for one (--room-jwt, --room-key). */
  token?: string;
  /** What the others see and hear. Exchange it later with `room.setStream`. */
  stream?: MediaStream | null;
  /** Leaves the room when it is aborted. */
  signal?: AbortSignal;
  /** Further settings of every RTCPeerConnection, such as `iceTransportPolicy`. */
  rtc?: Omit<RTCConfiguration, "iceServers" | "certificates">;
  /** ICE servers of yours, until the server sends its own (to holders of invitations). */
  iceServers?: RTCIceServer[];
  /** Sees the server's ICE servers first, and answers those to use. */
  selectServers?: (iceServers: RTCIceServer[]) => RTCIceServer[];
  /** No offered file may have more bytes (default 2 ** 30): both sides then see "too-large". */
  largestFile?: number;
  /** For Node.js before 22: the class of the "ws" package, for example. */
  WebSocket?: unknown;
  /** null: no connections between members, only what goes through the server. */
  RTCPeerConnection?: typeof RTCPeerConnection | null;
}

/** Enters a room; resolves inside. Rejects with a JoinError, or with the reason of `signal`. */
export function join(room: string, options?: JoinOptions): Promise<Room>;

/** Why the server did not let us in: "room-full", "bad-invitation", "bad-token", "bad-room", ... */
export class JoinError extends Error {
  constructor(code: string, message?: string);
  readonly code: string;
}

export const CloseCode: {
  readonly goingAway: 1001;
  readonly protocolError: 1002;
  readonly unsupportedData: 1003;
  readonly invalidData: 1007;
  readonly abuse: 1008;
  readonly tooLarge: 1009;
  readonly resumedElsewhere: 4001;
  readonly left: 4002;
  readonly removed: 4003;
};

/** An EventTarget whose events have a `detail`; `on` gives the listener the detail alone. */
declare class Emitter<Events> extends EventTarget {
  /** Answers the function that ends it. */
  on<Type extends keyof Events & string>(
    type: Type, listener: (detail: Events[Type]) => void): () => void;
  once<Type extends keyof Events & string>(
    type: Type, listener: (detail: Events[Type]) => void): () => void;
}

export interface Message {
  peer: Peer;
  data: Json;
  /** Came over the data channel, not through the server. */
  direct: boolean;
}

export interface Warning {
  code: string;
  message: string;
  peer?: Peer;
}

export interface Closed {
  /** "left": by us; "refused": the join; "ended": by the server. */
  reason: "left" | "refused" | "ended";
  /** An error code when refused, else a CloseCode. */
  code: string | number;
  message: string;
}

export type RoomState = "connecting" | "open" | "waiting" | "closed";

export interface RoomEvents {
  state: RoomState;
  /** Somebody is here. A new listener is also told of those who were here before it. */
  peer: Peer;
  gone: Peer;
  message: Message;
  /** Somebody offers a file. */
  file: Transfer;
  iceServers: RTCIceServer[];
  warning: Warning;
  closed: Closed;
}

export class Room extends Emitter<RoomEvents> {
  constructor(name: string, options?: JoinOptions);
  /** Begins to enter; `join` does it for you. */
  connect(): Promise<void>;
  readonly name: string;
  readonly state: RoomState;
  readonly self: { id: string; name: string } | null;
  /** By id. */
  readonly peers: Map<string, Peer>;
  readonly stream: MediaStream | null;
  /** Fresh ones come by themselves and are given to the connections. */
  readonly iceServers: RTCIceServer[];
  /** While "waiting": when the next attempt begins, on the clock of performance.now(). */
  readonly retryAt: number;
  readonly closed: Closed | null;
  /** To everybody else, through the server: at most 64 KiB of JSON, 50 messages a second. */
  send(data: Json): void;
  /** To everybody else, over the data channels. */
  sendDirect(data: Json): void;
  /** Shows these tracks from now on; tracks of the same kind are exchanged without negotiation. */
  setStream(stream: MediaStream | null): void;
  /** Tries again now what waits: the WebSocket, and broken connections. */
  retry(): void;
  getStats(): Promise<Map<string, Stats | null>>;
  /** For good: the server frees the relay allocations. */
  leave(): void;
}

export interface PeerEvents {
  /** A new listener is also told of the tracks that came before it. */
  track: { peer: Peer; track: MediaStreamTrack; stream: MediaStream };
  state: RTCPeerConnectionState;
  message: Message;
  /** A data channel that the other side opened. */
  channel: RTCDataChannel;
  file: Transfer;
  /** Name, presence or tracks. */
  change: null;
  gone: null;
}

export class Peer extends Emitter<PeerEvents> {
  private constructor();
  readonly room: Room;
  readonly id: string;
  readonly name: string;
  /** We give way to this one when both offer: it was here first. */
  readonly polite: boolean;
  /** Its WebSocket is lost; it may come back. */
  readonly away: boolean;
  /** "left", "lost" or "kicked", once gone. */
  readonly leftBecause?: string;
  readonly connection: RTCPeerConnection | null;
  readonly state: RTCPeerConnectionState | "none";
  /** All tracks of the other side. */
  readonly stream: MediaStream | null;
  /** Of the certificate that DTLS has proven; the same when this member comes back as a new one. */
  readonly fingerprint: string;
  /** Through the server, to this member alone. */
  send(data: Json): void;
  /** Over the data channel, as soon as it stands. */
  sendDirect(data: Json): void;
  /** A data channel of your own. */
  channel(label: string, options?: RTCDataChannelInit): RTCDataChannel;
  /** Offers a file; it is sent when the other side accepts, and goes on after a reconnection. */
  sendFile(blob: Blob, options?: { name?: string; about?: Json }): Transfer;
  /** Looks for paths again (ICE restart). */
  restart(): void;
  getStats(): Promise<Stats | null>;
}

export type TransferState = "offered" | "running" | "paused" | "done" | "declined" | "cancelled" | "too-large";

export class Transfer extends Emitter<{ change: Transfer }> {
  private constructor();
  readonly id: string;
  readonly peer: Peer;
  readonly direction: "in" | "out";
  readonly name: string;
  readonly size: number;
  readonly mime: string;
  readonly about: Json;
  readonly state: TransferState;
  readonly bytes: number;
  /** Outgoing: the file. Incoming: null until it is done. */
  readonly blob: Blob | null;
  readonly over: boolean;
  /** Resolves with the whole file; rejects when it is declined, cancelled or too large. */
  readonly done: Promise<Blob>;
  accept(): void;
  decline(): void;
  cancel(): void;
}

export interface Traffic {
  bytes: number;
  packets: number;
  lost: number;
  jitterMs: number;
}

export interface ReceivedTraffic extends Traffic {
  width: number | null;
  height: number | null;
  framesPerSecond: number | null;
}

/** Counts are since the beginning of the connection: two readings make a rate. */
export interface Stats {
  path: {
    kind: "host" | "srflx" | "prflx" | "relay";
    protocol: "udp" | "tcp" | "tls";
    /** Which end is relayed: ours or the other's. */
    side: "near" | "far";
  };
  roundTripMs: number | null;
  availableBitrate: number | null;
  received: { audio?: ReceivedTraffic; video?: ReceivedTraffic };
  sent: { audio?: Traffic; video?: Traffic };
}
