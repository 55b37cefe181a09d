// The names that queues and task types may have: they become parts of Redis keys and URLs.

/** No braces, colons or stars: a name can break neither its hash tag nor its key. */
export const QUEUE_NAME = /^[a-z0-9][a-z0-9_.-]{0,63}$/;
export const TASK_TYPE = /^[a-z][a-z0-9_.-]{0,63}$/;
export const TASK_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const TASK_ID_CHARS = 36;
/** An idempotency key: printable ASCII without blanks. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export const DEFAULT_QUEUE = 'default';
