// A relay over one connection, as a role opens it.

import type { Log } from '../log.ts';
import { createOutbox } from '../store/outbox.ts';
import { createProducer } from '../store/producer.ts';
import { createLinks } from '../workflows/links.ts';
import { createRelay, type Relay } from './relay.ts';

/** @param client a connection of `openCommandConnection` */
export function openRelay(client: Parameters<typeof createProducer>[0], log: Log): Relay {
  return createRelay({
    outbox: createOutbox(client),
    producer: createProducer(client),
    links: createLinks(client),
    log,
  });
}
