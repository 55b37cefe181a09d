// `popfleet webhook`: registered receivers of webhooks, and what came of calling them.

import type { Command } from 'commander';
import type { WebhookAttempt, WebhookRequest, WebhookView } from '../client/webhooks.ts';
import { compact } from '../protocol/compact.ts';
import { another } from './arguments.ts';
import { EXIT } from './exit-code.ts';
import type { Column, Printer } from './printer.ts';
import { writeEnd } from './task-output.ts';
import type { Terminal } from './terminal.ts';
import { addVerb } from './verb.ts';
import { waitForTask } from './wait-for-task.ts';
import { writeItems } from './write-rows.ts';

const listed = (names: readonly string[] = []): string => names.join(' ');

/** Where nothing stands, it is told of all of them. */
const COLUMNS: readonly Column<WebhookView>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'URL', text: ({ url }) => url },
  {
    title: 'STATE',
    text: ({ disabled }) => (disabled ? 'disabled' : 'active'),
    style: ({ disabled }) => (disabled ? 'yellow' : undefined),
  },
  { title: 'KINDS', text: ({ kinds = ['task'] }) => listed(kinds) },
  { title: 'STATES', text: ({ states }) => listed(states) },
  { title: 'TYPES', text: ({ types }) => listed(types) },
  { title: 'QUEUES', text: ({ queues }) => listed(queues) },
  { title: 'CREATED', text: ({ createdAt }) => createdAt },
];

const ATTEMPT_COLUMNS: readonly Column<WebhookAttempt>[] = [
  { title: 'AT', text: ({ at }) => at },
  { title: 'EVENT', text: ({ event }) => event },
  { title: 'OF', text: ({ task, workflow, batch }) => task ?? workflow ?? batch },
  {
    title: 'STATUS',
    text: ({ status }) => status,
    style: ({ status = 0 }) => (status >= 200 && status < 300 ? 'green' : 'red'),
  },
  { title: 'MS', text: ({ durationMs }) => durationMs },
  { title: 'DELIVERY', text: ({ delivery }) => delivery },
  { title: 'ERROR', text: ({ error }) => error },
];

export function addWebhookVerbs(webhook: Command, terminal: Terminal): void {
  const list = {
    usage: 'list',
    description: 'List the endpoints that are told when something has ended',
    examples: ['popfleet webhook list'],
  };
  addVerb(webhook, terminal, list, async ({ client, printer, signal }) => {
    const items = await client.webhooks.list({ signal });
    writeItems(printer, COLUMNS, items, 'There are no endpoints.');
  });
  const show = {
    usage: 'show <id>',
    description: 'Show an endpoint',
    examples: ['popfleet webhook show WEBHOOK'],
  };
  addVerb(webhook, terminal, show, async ({ client, printer, signal }, [id]) =>
    print(printer, await client.webhooks.get(id as string, { signal })),
  );
  addAdd(webhook, terminal);
  addRotate(webhook, terminal);
  addSwitches(webhook, terminal);
  const attempts = {
    usage: 'attempts <id>',
    description: 'List the latest attempts to reach an endpoint, newest first',
    examples: ['popfleet webhook attempts WEBHOOK'],
  };
  addVerb(webhook, terminal, attempts, async ({ client, printer, signal }, [id]) => {
    const items = await client.webhooks.attempts(id as string, { signal });
    writeItems(printer, ATTEMPT_COLUMNS, items, 'Nothing was sent to it of late.');
  });
  addSending(webhook, terminal);
  const remove = {
    usage: 'rm <id>',
    description: 'Remove an endpoint: it is told of nothing any more',
    examples: ['popfleet webhook rm WEBHOOK'],
  };
  addVerb(webhook, terminal, remove, async ({ client, printer, signal }, [id]) => {
    await client.webhooks.remove(id as string, { signal });
    if (printer.json) printer.document({ id, outcome: 'removed' });
    else printer.line(`${String(id)} is gone`);
  });
}

function addAdd(webhook: Command, terminal: Terminal): void {
  const texts = {
    usage: 'add <url>',
    description: 'Register an endpoint. It is told of all that its options leave',
    examples: [
      'popfleet webhook add https://example.org/hook',
      'popfleet webhook add https://example.org/hook --kind batch --kind task --state dead --queue default',
    ],
  };
  addVerb(webhook, terminal, texts, async ({ client, printer, signal }, [url], options) => {
    const { kind: kinds, state: states, type: types, queue: queues } = options as AddOptions;
    const endpoint = compact<WebhookRequest>({ url: url as string, kinds, states, types, queues });
    printSecret(printer, await client.webhooks.add(endpoint, { signal }));
  })
    .option('--kind <word>', 'task (unless given), workflow or batch; may be given again', another)
    .option('--state <word>', 'succeeded, dead or cancelled; may be given again', another)
    .option('--type <type>', 'of tasks; may be given again', another)
    .option('--queue <name>', 'of tasks, or home queue; may be given again', another);
}

interface AddOptions {
  readonly kind?: WebhookRequest['kinds'];
  readonly state?: WebhookRequest['states'];
  readonly type?: readonly string[];
  readonly queue?: readonly string[];
}

function addRotate(webhook: Command, terminal: Terminal): void {
  const texts = {
    usage: 'rotate <id>',
    description: 'Give an endpoint a new secret; for a day the one before signs as well',
    examples: ['popfleet webhook rotate WEBHOOK'],
  };
  addVerb(webhook, terminal, texts, async ({ client, printer, signal }, [id]) =>
    printSecret(printer, await client.webhooks.rotate(id as string, { signal })),
  );
}

function addSwitches(webhook: Command, terminal: Terminal): void {
  const verbs = [
    { name: 'disable', description: 'Send nothing to an endpoint until it is enabled', disabled: true },
    { name: 'enable', description: 'Send to an endpoint again', disabled: false },
  ];
  for (const { name, description, disabled } of verbs) {
    const texts = { usage: `${name} <id>`, description, examples: [`popfleet webhook ${name} WEBHOOK`] };
    addVerb(webhook, terminal, texts, async ({ client, printer, signal }, [given]) => {
      const id = given as string;
      const { url, states, kinds, types, queues } = await client.webhooks.get(id, { signal });
      const endpoint = compact<WebhookRequest>({ url, states, kinds, types, queues, disabled });
      print(printer, await client.webhooks.put(id, endpoint, { signal }));
    });
  }
}

/** One attempt takes 15 seconds at most, and others may be before it. */
const TESTED_WITHIN_MS = 60_000;

function addSending(webhook: Command, terminal: Terminal): void {
  const test = {
    usage: 'test <id>',
    description: 'Send an endpoint a message that is about nothing, and say whether it took it',
    examples: ['popfleet webhook test WEBHOOK'],
  };
  addVerb(webhook, terminal, test, async (session, [id]) => {
    const { client, printer, signal } = session;
    const { id: delivery } = await client.webhooks.test(id as string, { signal });
    const ended = await waitForTask(session, delivery, TESTED_WITHIN_MS);
    return writeEnd(printer, ended) ? EXIT.ok : EXIT.failed;
  });
  const resend = {
    usage: 'resend <id> <delivery>',
    description: 'Send a message again that has arrived, or was given up',
    examples: ['popfleet webhook resend WEBHOOK DELIVERY'],
  };
  addVerb(webhook, terminal, resend, async ({ client, printer, signal }, [id, delivery]) => {
    const sent = await client.webhooks.resend(id as string, delivery as string, { signal });
    if (printer.json) printer.document(sent);
    else printer.record([sent.id]);
    printer.say(`It is on its way: popfleet task wait ${sent.id}`, 'dim');
  });
}

function print(printer: Printer, view: WebhookView): void {
  if (printer.json) {
    printer.document(view);
    return;
  }
  printer.table(COLUMNS, [view]);
  if (view.disabled) printer.say(`Disabled at ${view.disabled.at}: ${view.disabled.reason}`, 'yellow');
}

function printSecret(printer: Printer, view: WebhookView & { readonly secret: string }): void {
  if (printer.json) printer.document(view);
  else printer.record([view.id, view.secret]);
  printer.say('The secret is shown this once. The receiver checks signatures with it.', 'dim');
}
