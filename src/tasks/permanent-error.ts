// Thrown by a handler whose next attempt would fail in the same way.

/** Fails a task for good: no attempt that is left is used. */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PermanentError';
  }
}
