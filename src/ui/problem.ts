// What goes wrong, as `/v1` says it.

/** A problem document (RFC 9457); of a server that cannot be reached it is made here, with the code `unreachable`. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly requestId?: string;
  /** Wrong fields: JSON Pointers as fragments, such as `#/input/one`. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** What a thrown value says, in the form of a problem. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof ApiError) return thrown.problem;
  return { status: 0, code: 'internal', title: 'The dashboard failed', detail: String(thrown) };
}
