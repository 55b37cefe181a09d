// What handlers say of how far they are.

export interface Progress {
  /** From 0 to 100. */
  readonly percent: number;
  readonly note: string | undefined;
}

/** @param value as the API has it; `undefined` when nothing was said, or nothing that is understood here */
export function readProgress(value: unknown): Progress | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { percent, note } = value as { readonly percent?: unknown; readonly note?: unknown };
  if (typeof percent !== 'number') return undefined;
  return {
    percent: Math.min(100, Math.max(0, percent)),
    note: typeof note === 'string' ? note : undefined,
  };
}
