//! Every maximum of the coordinator by name, and how they relate.

use std::time::Duration;

/// A request body, bytes. Above it 413.
pub const BODY_BYTES: usize = 1 << 20;
/// Rows of one page of a list.
pub const PAGE_MOST: u32 = 200;
/// Rows of a page when the caller did not say.
pub const PAGE_DEFAULT: u32 = 50;
/// Connections of one door at a time; later ones wait in the kernel's queue.
pub const DOOR_CONNECTIONS: usize = 4096;
/// Connections of one address that is no trusted proxy.
pub const DOOR_CONNECTIONS_EACH: usize = 2048;
/// How long a connection may take nothing of what is sent to it. Longer than a terminal's viewer may, which is told.
pub const DOOR_STALL: Duration = Duration::from_secs(90);
/// TLS handshakes of one door at a time.
pub const DOOR_HANDSHAKES: usize = 256;
/// How long a TLS handshake may take.
pub const DOOR_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may take to send the headers of its next request, or stay idle.
pub const DOOR_HEADERS: Duration = Duration::from_secs(60);
/// Headers of one request.
pub const DOOR_HEADER_COUNT: usize = 100;
/// How long a body within the limit may take to arrive.
pub const BODY_WAIT: Duration = Duration::from_secs(30);

/// Changes that are kept for followers who fell behind or come back.
pub const FEED_CHANGES: usize = 4096;
/// Changes that a follower takes at a time.
pub const FEED_BATCH: usize = 64;
/// Event streams of one person.
pub const STREAMS_OF_USER: usize = 32;
/// Event streams of this process; connections are left for everything else.
pub const STREAMS: usize = 2048;
/// Topics of one event stream.
pub const STREAM_TOPICS: usize = 64;
/// Series of figures on one event stream.
pub const STREAM_METRICS: usize = 8;
/// Pause after which a silent event stream says that it lives, and whether its person still may listen.
pub const STREAM_PULSE: Duration = Duration::from_secs(10);
/// Pause before a browser whose event stream broke asks for it again.
pub const STREAM_RETRY: Duration = Duration::from_secs(1);
/// How often an event stream looks for new figures.
pub const STREAM_LOOK: Duration = Duration::from_millis(500);

/// Closures waiting in one lane of the store.
pub const STORE_QUEUE: usize = 4096;
/// Closures of one write transaction, by lane (people, agents, upkeep).
pub const STORE_BATCH: [usize; 3] = [64, 64, 16];
/// Threads that read.
pub const STORE_READERS: usize = 2;
/// Connections that write to PostgreSQL; one a lane at least.
pub const STORE_WRITERS: u32 = 4;
/// Connections that read from PostgreSQL.
pub const STORE_READERS_APART: u32 = 4;
/// How often a write is tried on PostgreSQL beside other writes.
pub const STORE_TRIES_BESIDE: u32 = 6;
/// How often it is tried in all; the later tries have the writers' connections to themselves.
pub const STORE_TRIES: u32 = 12;
/// Pause before a second try, longer before later ones.
pub const STORE_AGAIN: Duration = Duration::from_millis(1);
/// How long connecting to PostgreSQL may take.
pub const STORE_CONNECT: Duration = Duration::from_secs(5);
/// How long a starting coordinator waits for the connections of the last one to end.
pub const STORE_TAKEOVER: Duration = Duration::from_secs(30);
/// Pause between two looks.
pub const STORE_PAUSE: Duration = Duration::from_millis(50);
/// Prepared statements kept by a SQLite connection.
pub const STORE_STATEMENTS: usize = 256;

/// Jobs waiting for the cpu pool.
pub const CPU_QUEUE: usize = 256;
/// Threads of the cpu pool.
pub const CPU_THREADS: usize = 2;

/// API keys of one person.
pub const API_KEYS: usize = 50;
/// The longest life of an API key, days.
pub const API_KEY_DAYS: i64 = 365;
/// A draft of a launch, bytes of JSON.
pub const DRAFT_BYTES: usize = 16 << 10;
/// Drafts of one person.
pub const DRAFTS: i64 = 20;
/// Projects of one tenant.
pub const PROJECTS: i64 = 200;

/// The longest `Idempotency-Key`, characters.
pub const IDEMPOTENCY_KEY: usize = 128;
/// How long an answer is kept for replay.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Failed sign-ins of one account in a minute, or accounts tried from one address, before 429.
pub const LOGIN_FAILURES: usize = 10;
/// Failed sign-ins from one address in a minute, whatever the accounts, before 429.
pub const LOGIN_ADDRESS_FAILURES: usize = 60;
/// Accounts that one address may make in a minute: each costs a hash of its password, and may launch.
pub const SIGN_UPS: usize = 60;
/// Over how long failures are counted.
pub const LOGIN_WINDOW: Duration = Duration::from_secs(60);
/// Accounts and addresses remembered by the failure counter.
pub const LOGIN_KEYS: usize = 16_384;
/// The longest password, bytes: argon2 must not be fed megabytes.
pub const PASSWORD_BYTES: usize = 1024;
/// The shortest password, characters.
pub const PASSWORD_CHARS: usize = 8;

/// Life of an access token.
pub const ACCESS_TOKEN: Duration = Duration::from_secs(3600);
/// Life of a refresh token since its last rotation.
pub const REFRESH_TOKEN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Life of a cookie session.
pub const COOKIE_SESSION: Duration = Duration::from_secs(12 * 3600);
/// How long a step-up is good for.
pub const STEP_UP: Duration = Duration::from_secs(300);

/// SSH keys of one person.
pub const SSH_KEYS: i64 = 100;
/// The longest SSH public key line, bytes.
pub const SSH_KEY_BYTES: usize = 16 * 1024;

/// How long a launch may take until its cell is up, ms.
pub const PROVISIONING_MS: i64 = 120_000;
/// How long the proof of a release may take, ms.
pub const RELEASE_MS: i64 = 300_000;
/// How long a step of an operation may stand still before people are told, ms.
pub const STEP_MS: i64 = 30_000;
/// The longest reason of an act, characters.
pub const REASON_CHARS: usize = 500;
/// Lines of the timeline of one operation.
pub const OPERATION_EVENTS: i64 = 500;

/// Life of a token that opens a WebSocket.
pub const TERMINAL_TOKEN: Duration = Duration::from_secs(60);
/// Such tokens that wait to be used.
pub const TERMINAL_TOKENS: usize = 8_192;
/// Such tokens of one person.
pub const TERMINAL_TOKENS_EACH: usize = 256;
/// Open terminals, commands and tunnels of one person.
pub const TERMINALS_OF_USER: usize = 512;
/// How long a new WebSocket may take for its first frame.
pub const TERMINAL_AUTH: Duration = Duration::from_secs(10);
/// How long a node may take to attach a session.
pub const TERMINAL_OPEN: Duration = Duration::from_secs(8);
/// Pause between pings of a WebSocket.
pub const TERMINAL_PING: Duration = Duration::from_secs(20);
/// A client that is not heard for so long is gone.
pub const TERMINAL_SILENCE: Duration = Duration::from_secs(70);
/// A terminal that takes nothing for so long is detached.
pub const TERMINAL_STALL: Duration = Duration::from_secs(60);
/// A tunnel that takes nothing for so long is closed; ssh may be suspended for a while.
pub const TUNNEL_STALL: Duration = Duration::from_secs(3600);
/// Oldest an untold acknowledgement of stdin may get.
pub const TERMINAL_ACK: Duration = Duration::from_secs(1);
/// How long closing a WebSocket may take.
pub const TERMINAL_CLOSE: Duration = Duration::from_secs(2);
/// Silence after which a client has sent the rest of a frame that was too large.
pub const TERMINAL_QUIET: Duration = Duration::from_millis(200);
/// How long a session may take to end by SIGHUP before SIGKILL.
pub const TERMINAL_HANGUP: Duration = Duration::from_secs(2);
/// Unacknowledged output of a client that acknowledges, bytes.
pub const TERMINAL_IN_FLIGHT: u64 = 512 << 10;
/// The largest frame of a client, bytes. Above it close 1009.
pub const TERMINAL_FRAME: usize = 1 << 20;
/// Stdin of one terminal that may wait for its program while the client is heard on.
pub const TERMINAL_STDIN: usize = 1 << 20;
/// Read buffer of a WebSocket, bytes.
pub const TERMINAL_READ: usize = 16 << 10;
/// Output gathered for one write, bytes.
pub const TERMINAL_WRITE: usize = 64 << 10;
/// Most that a WebSocket holds back for a slow client, bytes.
pub const TERMINAL_WRITE_MOST: usize = 512 << 10;
/// Answers to pings that wait for a slow client.
pub const TERMINAL_SAYS: usize = 16;
/// Arguments of a command, bytes in all.
pub const COMMAND_BYTES: usize = 32 << 10;
/// Arguments of a command.
pub const COMMAND_WORDS: usize = 1024;

/// How long the edge may be silent before the watchdog ends the process.
pub const EDGE_SILENCE: Duration = Duration::from_secs(10);
/// How long a stopping coordinator waits for what is running.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Longest time for writing the latest means when the process ends.
pub const LAST_MEANS: Duration = Duration::from_secs(3);

const _: () = assert!(PAGE_DEFAULT <= PAGE_MOST);
const _: () = assert!(STORE_BATCH[0] <= STORE_QUEUE && STORE_BATCH[1] <= STORE_QUEUE && STORE_BATCH[2] <= STORE_QUEUE);
const _: () = assert!(STORE_WRITERS >= 3 && STORE_TRIES_BESIDE < STORE_TRIES);
const _: () = assert!(SSH_KEY_BYTES < BODY_BYTES && PASSWORD_BYTES < BODY_BYTES);
const _: () = assert!(STREAMS * 2 <= DOOR_CONNECTIONS && STREAMS_OF_USER < STREAMS && FEED_BATCH < FEED_CHANGES);
const _: () = assert!(DOOR_HANDSHAKES < DOOR_CONNECTIONS);
const _: () = assert!(TERMINAL_WRITE * 2 <= TERMINAL_WRITE_MOST);
const _: () = assert!(COMMAND_BYTES * 2 <= muster_protocol::limits::CONTROL_MAX as usize);
