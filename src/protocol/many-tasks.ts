// How large a value with many tasks may be.

import { DEFAULT_SCAN_LIMITS, type ScanLimits } from './cbor-scan.ts';

/**
 * Of a call with `tasks`, which stand two levels below it. Each of them, and what is beside them, has the limits of a value by
 * itself: whoever reads the call checks these too. All together are bounded because no other request is answered while they are
 * walked; ten thousand tasks have fifty values each.
 */
export const LIMITS_OF_MANY: ScanLimits = { depth: DEFAULT_SCAN_LIMITS.depth + 2, nodes: 500_000 };
