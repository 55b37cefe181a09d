// The calls of the store that a task needs, of any build.

import { pathToFileURL } from 'node:url';

const silent = { info() {}, warn() {}, error() {}, debug() {}, child: () => silent };

/**
 * The store of a build, on a queue of its own.
 * @param {string} root folder of the checkout, with `dist/`
 * @param {number} followedPercent so many of the tasks are followed by another task
 */
export async function openBuild(root, port, queue, followedPercent) {
  const load = (file) => import(pathToFileURL(`${root}/dist/${file}`).href);
  const [
    { openCommandConnection },
    { createProducer },
    { createConsumer },
    { encodeContent },
    keys,
    { newTaskId },
  ] = await Promise.all(
    [
      'store/connection',
      'store/producer',
      'store/consumer',
      'protocol/message',
      'store/keys',
      'protocol/task-id',
    ].map((name) => load(`${name}.js`)),
  );
  const settings = { url: `redis://127.0.0.1:${port}`, log: silent };
  const client = openCommandConnection(settings, 'bench', { socketTimeoutMs: 10_000 });
  await new Promise((resolve) => client.once('ready', resolve));
  // Builds from before places take the name of the queue.
  const place = keys.homeOf ? keys.homeOf(queue) : queue;
  const consumer = createConsumer(client, place, 'worker.example-1234-0a1b2c3d', 60_000);
  const producer = createProducer(client);
  const content = encodeContent('add', { one: 1, two: 2 });
  const plain = { content, lane: 'normal', extras: undefined };
  const following = followedPercent > 0 && (await openFollowing(load, client, producer, content));
  let sent = 0;
  const next = () => {
    sent += 1;
    const isFollowed = following && sent % (100 / followedPercent) === 0;
    return { ...plain, id: newTaskId(), ...(isFollowed && { extras: { follower: following.follower } }) };
  };
  const success = { word: 'succeeded', contentBytes: content.length, payload: Buffer.from([1]), delayMs: 0 };
  return {
    enqueue: (size) => producer.enqueue(queue, Array.from({ length: size }, next)),
    claim: async (size) => (await consumer.claim([], size)).tasks,
    async finish(tasks) {
      const { toRelay } = await consumer.finish(
        tasks.map(({ id, token }) => ({ ...success, id, token })),
        0,
      );
      if (following && toRelay > 0) following.relay.soon(place);
    },
    beat: () => consumer.beat([]),
    settled: () => following && following.relay.settled(),
    close: () => client.disconnect(),
  };
}

async function openFollowing(load, client, producer, content) {
  const [{ createOutbox, writeFollower }, { createRelay }] = await Promise.all(
    ['store/outbox.js', 'upkeep/relay.js'].map(load),
  );
  return {
    follower: writeFollower({ queue: 'next', lane: 'normal', content }),
    relay: createRelay({ outbox: createOutbox(client), producer, log: silent }),
  };
}
