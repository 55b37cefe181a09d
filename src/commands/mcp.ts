// `popfleet mcp`: lets a program that speaks the Model Context Protocol look at the fleet, and with `--allow-writes` change it.

import type { Command } from 'commander';
import { createTransport } from '../client/transport.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { describeVerb, hintFor } from './verb.ts';

const TEXTS = {
  usage: 'mcp',
  description: 'Serve the API as tools of the Model Context Protocol, over stdin and stdout',
  examples: ['popfleet mcp', 'popfleet mcp --allow-writes'],
};
/** Whoever waits for a tool waits for a program that a person waits for. */
const RETRIES = 2;
const INSTALL = 'npm install @modelcontextprotocol/server@2';

export function addMcpVerb(mcp: Command, terminal: Terminal): void {
  describeVerb(
    mcp,
    terminal,
    TEXTS,
    async ({ connection: { url, key }, signal, printer }, _args, options) => {
      const { serveMcp } = await loadServer();
      const { stdin, stdout } = terminal as Terminal & Pick<NodeJS.Process, 'stdin' | 'stdout'>;
      const isOver = new Promise<void>((resolve) => {
        stdin.once('end', resolve).once('close', resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      const transport = createTransport({ url: url.value, key: key?.value, retries: RETRIES });
      const served = serveMcp(
        { transport, allowWrites: options['allowWrites'] === true, hintFor },
        { stdin, stdout, onError: ({ message }) => printer.say(`error: ${message}`, 'red') },
      );
      await isOver;
      await served.close();
    },
  ).option('--allow-writes', 'also offer what changes something');
}

/** The SDK is an optional peer (decision 31): few programs need it, and it is large. */
async function loadServer(): Promise<typeof import('../mcp/mcp-server.ts')> {
  try {
    return await import('../mcp/mcp-server.ts');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UsageError(
      `popfleet mcp needs the SDK of the Model Context Protocol beside popfleet: ${INSTALL}`,
    );
  }
}
