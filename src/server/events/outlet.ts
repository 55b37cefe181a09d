// The body of an event stream: takes bytes from its source only when the socket has room, and says when it is over.

export interface Outlet {
  readonly stream: ReadableStream<Uint8Array>;
  /** The source may have something. */
  offer(): void;
  /** Ends it once the source has nothing more. */
  end(): void;
  /** Ends it now. */
  cut(): void;
}

/**
 * @param take what can be written now; none = nothing
 * @param onOver called once, whoever ended it
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
    // Nothing is taken ahead of the socket: what waits, waits with the source, which bounds it.
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
