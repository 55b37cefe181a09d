// Reads server-sent events (HTML, section 9.2) from the bytes of an answer.

export interface ServerEvent {
  /** `message` when the event has no name. */
  readonly name: string;
  readonly data: string;
  /** Where to go on behind it: the latest id of the stream, which may be that of an event before. */
  readonly lastEventId: string | undefined;
}

export interface EventStreamReader {
  /** Id of the last block that was read, also of one without data: where to go on after a break. */
  lastId(): string | undefined;
  /** @param part text of the stream; lines may be cut anywhere @returns the events that are complete */
  read(part: string): ServerEvent[];
}

/** @param lastId that of a stream that broke */
export function createEventStreamReader(lastId?: string): EventStreamReader {
  let rest = '';
  let name = '';
  let data: string[] = [];
  let id = lastId;
  let blockId = lastId;

  function endBlock(events: ServerEvent[]): void {
    id = blockId;
    if (data.length > 0) {
      events.push({ name: name === '' ? 'message' : name, data: data.join('\n'), lastEventId: id });
    }
    name = '';
    data = [];
  }

  function readLine(line: string): void {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id' && !value.includes('\0')) blockId = value;
  }

  return {
    lastId: () => id,
    read(part) {
      const events: ServerEvent[] = [];
      rest += part;
      // A CR at the end may be the first half of a CR LF.
      const lines = rest.split(/\r\n|\n|\r(?=[^])/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') endBlock(events);
        else readLine(line);
      }
      return events;
    },
  };
}
