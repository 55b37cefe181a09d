// The body of an event stream: takes bytes from its source only when the socket has room, and reports when it is over.

export interface Outlet {
  readonly stream: ReadableStream<Uint8Array>;
  /** To be called when the source may have bytes. */
  offer(): void;
  /** Ends the body once the source is empty. */
  end(): void;
  /** Ends the body now. */
  cut(): void;
}

/**
 * @param take takes what can be written now; empty = nothing
 * @param onOver called once, when the server or the client has ended it
 */
export function createOutlet(take: () => readonly Uint8Array[], onOver: () => void): Outlet {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let hasRoom = false;
  let ending = false;
  let over = false;

  function finish(): void {
    if (over) return;
    over = true;
    onOver();
  }

  function offer(): void {
    if (over || !hasRoom) return;
    const pieces = take();
    if (pieces.length > 0) {
      hasRoom = false;
      for (const piece of pieces) controller?.enqueue(piece);
    } else if (ending) {
      controller?.close();
      finish();
    }
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        hasRoom = true;
        offer();
      },
      cancel: finish,
    },
    // Nothing is taken ahead of the socket: bytes wait in the source, which bounds them.
    { highWaterMark: 0 },
  );

  return {
    stream,
    offer,
    end() {
      ending = true;
      offer();
    },
    cut() {
      if (!over) controller?.close();
      finish();
    },
  };
}
