// Thrown by a handler whose next attempt would fail in the same way.

/** Fails a task for good: its remaining attempts are not used. */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PermanentError';
  }
}
