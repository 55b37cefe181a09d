// What clients tell beside the events of ioredis.

/**
 * The connection was thrown away for what Redis has answered, or has come back from another server. A client of a cluster says which
 * node it was.
 */
export const THROWN_AWAY = 'popfleet:thrown-away';
/** The Sentinels have named no primary. */
export const NO_PRIMARY = 'popfleet:no-primary';
/** Redis does not let this user run a command. */
export const NOT_PERMITTED = 'popfleet:not-permitted';
