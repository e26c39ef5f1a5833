// The objects, events and answers of docs/protocol.md, for the type check of the browser's code (tsconfig.json). Nothing of it is
// served. types_test.go compares every name with the document: an interface with the object of its name, the members of
// ClientEvents and ServerEvents with payloads, Acks with the fields of acks, Answers with the answers of HTTP routes.
declare namespace Protocol {
  /** RFC 3339 in UTC */
  type Time = string;
  type Sender = 'visitor' | 'admin' | 'telegram' | 'system';
  type Side = 'visitor' | 'admin';
  type ContentType = 'text' | 'image' | 'audio' | 'file';
  type Status = 'active' | 'closed';
  type Storage = 'ok' | 'low' | 'full';

  type SocketErrorCode =
    | 'unauthorized' | 'validation_error' | 'rate_limit_exceeded' | 'db_save_failed' | 'not_found' | 'blocked' | 'conflict' | 'internal_error';

  /** The answer to a refused event. */
  interface Refusal {
    ok: false;
    error: { code: SocketErrorCode; message: string; field?: string; retry_after_ms?: number; rev?: number };
  }

  interface Message {
    id: number;
    client_id: string;
    thread_id: string;
    sender_type: Sender;
    sender: Sender;
    content_type: ContentType;
    type: ContentType;
    content_text: string;
    file_url: string;
    file_path: string;
    created_at: Time;
    edited_at?: Time;
    reaction?: string;
    rev?: number;
    agent: AgentReference | null;
    edited_by?: AgentReference;
    file_name?: string;
    file_type?: string;
    file_size?: number;
    thumb_url?: string;
    width?: number;
    height?: number;
  }

  interface Thread {
    id: string;
    user_id: number;
    display_name: string;
    phone_number: string;
    email: string;
    status: Status;
    created_at: Time;
    last_activity: Time;
    last_activity_at: Time;
    last_message: string;
    last_message_time: Time | null;
    last_message_id: number;
    last_sender: Sender | '';
    last_type: ContentType | '';
    message_count: number;
    unread_count: number;
    online: boolean;
    online_version?: number;
    page_url: string;
    page_title: string;
    locale: string;
    visitor_read_id: number;
    visitor_received_id: number;
    blocked: boolean;
    waiting_since: Time | null;
    rating: number;
    rating_comment: string;
    assignee: AgentReference | null;
    status_by: AgentReference | null;
    rev: number;
  }

  interface AgentReference {
    id: number;
    name: string;
    avatar_url: string;
  }

  interface Agent {
    id: number;
    name: string;
    email: string;
    role: 'owner' | 'agent';
    avatar_url: string;
    locale: string;
    online: boolean;
    away: boolean;
    disabled: boolean;
    password: boolean;
    totp: boolean;
    telegram: boolean;
  }

  interface AuditEntry {
    id: number;
    event: string;
    outcome: 'ok' | 'wrong' | 'none' | 'refused' | 'limited' | 'blocked' | 'failed';
    agent_id: number | null;
    actor: string;
    address: string;
    browser: string;
    detail: string;
    thread_id: string;
    display_name: string;
    about: string;
    times: number;
    created_at: Time;
    last_at: Time;
  }

  interface AgentStatus {
    id: number;
    name: string;
    avatar_url: string;
    online: boolean;
    away: boolean;
    switched: boolean;
  }

  interface Passkey {
    id: number;
    name: string;
    created_at: Time;
    used_at: Time | null;
  }

  interface PasskeyCreation {
    publicKey: PasskeyCreationOptions;
  }

  interface PasskeyRequest {
    publicKey: PasskeyRequestOptions;
  }

  /** PublicKeyCredentialCreationOptionsJSON (WebAuthn), in which bytes are base64url. */
  interface PasskeyCreationOptions {
    challenge: string;
    rp: { id?: string; name: string };
    user: { id: string; name: string; displayName: string };
    pubKeyCredParams: { type: 'public-key'; alg: number }[];
    timeout?: number;
    excludeCredentials?: { id: string }[];
    authenticatorSelection?: { residentKey?: 'required'; requireResidentKey?: boolean; userVerification?: 'required' };
    attestation?: 'none';
  }

  /** PublicKeyCredentialRequestOptionsJSON. */
  interface PasskeyRequestOptions {
    challenge: string;
    rpId: string;
    timeout: number;
    userVerification: 'required' | 'preferred' | 'discouraged';
  }

  interface Session {
    id: string;
    browser: string;
    platform: string;
    address: string;
    started_at: Time;
    seen_at: Time;
    current: boolean;
  }

  interface Note {
    id: number;
    thread_id: string;
    client_id: string;
    text: string;
    author: string;
    agent: AgentReference | null;
    created_at: Time;
    after_id: number;
    unseen_by: number[];
  }

  interface Team {
    away: boolean;
    hours: boolean;
    switched: boolean;
    until: Time | null;
    typical_reply_seconds: number | null;
  }

  interface Block {
    thread_id: string;
    display_name: string;
    address: boolean;
    address_until: Time | null;
    created_at: Time;
    agent: AgentReference | null;
  }

  interface Facts {
    browser: string;
    platform: string;
    locale: string;
    page_url: string;
    page_title: string;
    display_name: string;
    phone_number: string;
    email: string;
    first_seen: Time;
    identity: { id: string; verified: boolean } | null;
    blocked_by: AgentReference | null;
    talks: number;
    earlier: EarlierThread[];
  }

  interface EarlierThread {
    id: string;
    status: Status;
    last_message: string;
    created_at: Time;
    last_activity: Time;
    last_message_time: Time | null;
    message_count: number;
    rating: number;
  }

  interface CannedReply {
    id: number;
    shortcut: string;
    text: string;
    updated_at: Time;
  }

  interface UndeliveredMessage {
    thread_id: string;
    message_id: number;
    channel: string;
    reason: string;
    since?: Time;
    waiting: boolean;
  }

  interface ChannelState {
    channel: string;
    ok: boolean;
    reason?: string;
    detail?: string;
    cure?: string;
  }

  interface ThreadCounts {
    active: number;
    waiting: number;
    closed: number;
    unread: number;
    found?: number;
    mine: number;
    unassigned: number;
  }

  /** What the sender of `message` and its older names may give. */
  interface NewMessage {
    thread_id?: string;
    text?: string;
    content_text?: string;
    type?: ContentType;
    content_type?: ContentType;
    file_url?: string;
    client_id?: string;
  }

  /** Up to which message a side has read a thread, or has it. */
  interface Mark {
    thread_id: string;
    last_id: number;
  }

  interface OfThread {
    thread_id: string;
  }

  interface ClientEvents {
    join: {
      display_name?: string;
      phone_number?: string | number;
      thread_id?: string;
      page_url?: string;
      page_title?: string;
      locale?: string;
      identity?: { id: string | number; hash: string };
      email?: string;
    };
    rejoin: OfThread;
    message: NewMessage;
    message_to_admin: NewMessage;
    message_from_visitor: NewMessage;
    message_to_visitor: NewMessage;
    typing: { thread_id?: string; typing?: boolean; note?: boolean };
    history: { thread_id: string; before_id?: number; after_id?: number; limit?: number };
    read: Mark;
    delivered: Mark;
    heartbeat: { thread_id?: string };
    page: { thread_id: string; page_url: string; page_title?: string };
    contact: { thread_id: string; email?: string; phone_number?: string | number };
    rate: { thread_id: string; score: number; comment?: string };
    admin_join: {};
    join_thread: OfThread;
    leave_thread: OfThread;
    presence: { visible: boolean; idle?: boolean };
    facts: OfThread;
    edit_message: { thread_id: string; id: number; text: string };
    set_status: { thread_id: string; status: Status };
    assign: { thread_id: string; agent_id: number | null; from?: number; note?: string };
    set_away: { away: boolean };
    block_thread: { thread_id: string; address?: boolean };
    unblock_thread: OfThread;
    note: { thread_id: string; text: string; client_id?: string };
    notes: { thread_id: string; seen?: boolean };
    note_delete: { thread_id: string; id: number };
  }

  interface Joined {
    thread_id: string;
    resumed: boolean;
    away: boolean;
    team: Team;
    team_read_id: number;
    team_received_id: number;
    status: Status;
    rating: number;
    rev: number;
    build: string;
  }

  interface Acks {
    join: Joined;
    rejoin: Joined;
    message: { message: Message };
    message_to_admin: { message: Message };
    message_from_visitor: { message: Message };
    message_to_visitor: { message: Message };
    typing: {};
    history: { messages: Message[]; has_more: boolean };
    read: {};
    delivered: {};
    heartbeat: {};
    page: {};
    contact: {};
    rate: {};
    admin_join: { away: boolean; team: Team; storage: Storage; build: string; jobs: Job[]; mentions: Thread[]; idle_seconds: number };
    join_thread: {};
    leave_thread: {};
    presence: {};
    facts: { facts: Facts };
    edit_message: { message: Message };
    set_status: {};
    assign: {};
    set_away: { team: Team };
    block_thread: { block: Block };
    unblock_thread: {};
    note: { note: Note };
    notes: { notes: Note[] };
    note_delete: {};
  }

  interface Job {
    id: number;
    kind: string;
    done: number;
    total: number;
    finished: boolean;
    failed?: boolean;
    since: Time;
  }

  interface Seen {
    thread_id: string;
    display_name: string;
    last_seen: Time;
    online_version?: number;
  }

  interface ServerEvents {
    joined: { thread_id: string };
    rejoin_failed: { message: string; thread_id: string };
    message_error: { type: SocketErrorCode; code: SocketErrorCode; message: string; field?: string; retry_after_ms?: number; rev?: number };
    error: { type: 'unauthorized' | 'blocked'; message: string; reason?: 'disabled'; timestamp: Time };
    message: Message;
    message_from_visitor: Message;
    message_from_admin: Message;
    message_from_telegram: Message;
    new_message_notification: { thread_id: string; display_name: string; message_preview: string; timestamp: Time; status: Status; unread_count: number; waiting_since: Time | null; rev: number };
    message_edited: Message;
    message_reaction: Message;
    messages_deleted: { thread_id: string; ids: number[]; rev: number };
    thread_created: { id: string; display_name: string; status: Status; created_at: Time; rev: number };
    thread_updated: Omit<Thread, 'online'>;
    thread_status: { thread_id: string; status: Status; rev: number };
    thread_cleared: { thread_id: string; kept?: boolean; last_id?: number; rev?: number; by?: AgentReference };
    thread_blocked: { thread_id: string; blocked: boolean; rev: number };
    typing: { thread_id: string; sender_type: Side; display_name: string; typing: boolean };
    read: { thread_id: string; last_id: number; reader: Side; rev: number };
    delivered: { thread_id: string; last_id: number; by: Side; rev: number };
    user_online: Seen;
    user_offline: Seen;
    visitor_online: Seen;
    team_status: Team;
    agents_presence: AgentStatus[];
    agent_viewing: { thread_id: string; agents: AgentReference[] };
    agent_typing: { thread_id: string; agent: AgentReference; typing: boolean; note: boolean };
    agent_notified: { agent_id: number; kind: 'mention' | 'assigned'; by: AgentReference; text: string; thread: Omit<Thread, 'online'> };
    notes_seen: { thread_id: string; agent_id: number };
    resync: {};
    note_added: { note: Note };
    note_deleted: { thread_id: string; id: number };
    canned_changed: {};
    message_undelivered: UndeliveredMessage;
    channel_state: ChannelState;
    job: Job;
    storage_status: { storage: Storage };
  }

  interface Done {
    success: true;
    message: string;
  }

  interface Uploaded {
    success: true;
    url: string;
    file_url: string;
    file_path: string;
    data: { url: string };
    content_type: 'image' | 'audio' | 'file';
    type: string;
    name: string;
    size: number;
    thumb_url?: string;
    width?: number;
    height?: number;
  }

  interface Check {
    status: 'ok' | 'warning' | 'error' | 'off';
    duration_ms: number;
    checked_at: Time;
    last_ok?: Time;
    reason?: string;
    detail?: string;
    cure?: string;
    used_bytes?: number;
    free_bytes?: number;
    total_bytes?: number;
    last_contact?: Time;
    waiting?: number;
    set_aside?: number;
    chat_id?: number;
    origin?: string;
    host?: string;
  }

  interface Sample {
    at: Time;
    messages: number;
    latency_ms: number | null;
    visitors: number;
    memory: number;
    waiting: number;
  }

  interface Setting {
    value?: string;
    set: boolean;
    source: 'default' | 'environment' | 'database';
    locked: boolean;
    secret: boolean;
    kind: string;
    help: string;
  }

  /** Answers in JSON, by route. */
  interface Answers {
    'POST /request-otp': Done;
    'POST /verify-otp': { success: true; redirect: string };
    'POST /admin/login': { success: true; message: string; otp_sent: boolean; redirect?: string; totp_required?: true };
    'POST /admin/verify-otp': Done;
    'POST /login/passkey/begin': PasskeyRequest;
    'POST /login/passkey/finish': { success: true; redirect: string };
    'GET /api/me': Agent;
    'POST /api/me': Agent;
    'POST /api/me/picture': Agent;
    'POST /api/me/picture/remove': Agent;
    'POST /api/me/totp': { secret: string; uri: string; qr: string };
    'POST /api/me/totp/confirm': { success: true; recovery_codes: string[] };
    'POST /api/me/totp/remove': Done;
    'GET /api/settings': Record<string, Setting>;
    'POST /api/settings': { success: true };
    'GET /api/me/passkeys': Passkey[];
    'POST /api/me/passkeys/begin': PasskeyCreation;
    'POST /api/me/passkeys/finish': Done;
    'POST /api/me/passkeys/remove': Done;
    'GET /api/me/sessions': Session[];
    'POST /api/me/sessions/end': Done;
    'POST /api/me/telegram': { code: string; expires_at: Time };
    'POST /api/me/telegram/unlink': Done;
    'GET /api/agents': Agent[];
    'GET /api/audit': { entries: AuditEntry[]; next: number | null };
    'POST /api/agents/update': Agent;
    'POST /api/agents/invite': { success: true; url: string; expires_at: Time };
    'POST /api/agents/password-link': { success: true; url: string; expires_at: Time };
    'POST /api/password': { success: true; message?: string; otp_sent?: boolean; totp_required?: boolean; redirect?: string };
    'POST /api/invite/passkey': PasskeyCreation;
    'POST /api/invite': { success: true; redirect: string };
    'POST /api/messages/send': { success: true; message_id: number; thread_id: string };
    'GET /api/threads': Thread[];
    'GET /api/threads/counts': ThreadCounts;
    'GET /api/messages':
      | Message[]
      | { success: true; data: { messages: Message[]; pagination: { page: number; per_page: number; total: number; pages: number; has_more: boolean } } };
    'GET /api/messages/:thread_id': { success: true; messages: Message[] };
    'POST /api/messages/clear': Done & { job?: Job };
    'POST /api/messages/clear_all': Done & { job?: Job };
    'POST /api/threads/delete': Done & { job?: Job };
    'GET /api/blocks': { success: true; blocks: Block[] };
    'POST /api/threads/block': { success: true; block: Block };
    'POST /api/threads/unblock': Done;
    'GET /api/canned': CannedReply[];
    'POST /api/canned': { success: true; canned: CannedReply };
    'POST /api/canned/delete': Done;
    'GET /api/undelivered': { success: true; undelivered: UndeliveredMessage[]; channels: ChannelState[]; refused_origin?: { origin: string; host: string; at: Time } };
    'POST /api/undelivered/send': Done;
    'POST /api/upload/image': Uploaded;
    'POST /api/upload/audio': Uploaded;
    'POST /api/upload/file': Uploaded;
    'POST /api/upload/sign': { success: true; direct: false } | { success: true; direct: true; id: string; upload_url: string; fields: Record<string, string> };
    'POST /api/upload/confirm': Uploaded;
    'GET /api/push/key': { key: string };
    'POST /api/push/subscribe': Done;
    'POST /api/push/unsubscribe': Done;
    'GET /api/metrics': {
      success: true;
      timestamp: Time;
      version: string;
      uptime_seconds: number;
      sockets: number;
      messages_accepted: number;
      goroutines: number;
      memory: { used_bytes: number; limit_bytes: number };
      cache: { hits: number; misses: number };
      store: { dialect: string; queued: number; commits: number };
    };
    'GET /api/diagnostics': {
      success: true;
      version: string;
      uptime_seconds: number;
      log_level: string;
      checks: Record<string, Check>;
      samples: Sample[];
      repairs: string[];
    };
    'POST /api/diagnostics/repair': { success: true; result: Record<string, number>; job?: Job };
    'POST /api/diagnostics/log-level': { success: true; log_level: string };
  }

  interface Push {
    title: string;
    body: string;
    tag: string;
    url: string;
    unread: number;
  }
}
