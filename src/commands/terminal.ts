// What a command is given of its process. Tests bring their own.

/** A stream that may be a terminal. */
export type Output = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(env?: object): boolean;
};
export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Fires when the person, or a supervisor, wants the command to end. */
  interrupt(): AbortSignal;
  /** Ends the process. */
  exit(code: number): void;
}

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** @param exit ends the process */
export function createTerminal(
  { stdin, stdout, stderr }: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>,
  env: Terminal['env'],
  exit: (code: number) => void,
): Terminal {
  return {
    env,
    stdin,
    stdout,
    stderr,
    interrupt() {
      const interrupt = new AbortController();
      // `once`: a second signal of its kind ends the process as usual.
      for (const signal of INTERRUPTS) process.once(signal, () => interrupt.abort());
      return interrupt.signal;
    },
    exit,
  };
}
