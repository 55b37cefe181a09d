// `popfleet completion`: a script that lets a shell complete commands and options.

import { Argument, type Command } from 'commander';
import type { Terminal } from './terminal.ts';
import { describeVerb } from './verb.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const TEXTS = {
  usage: 'completion',
  description: 'Write a script that lets a shell complete commands and options',
  examples: [
    'source <(popfleet completion bash)',
    'source <(popfleet completion zsh)',
    'popfleet completion fish > ~/.config/fish/completions/popfleet.fish',
  ],
};

/** What may stand behind the words of a command. */
interface Completion {
  /** Such as `task add`; empty for the program. */
  readonly path: string;
  readonly description: string;
  readonly verbs: readonly string[];
  readonly options: readonly string[];
}

/** @param loadAll adds the verbs of all commands to the program */
export function addCompletionVerb(
  completion: Command,
  terminal: Terminal,
  loadAll: () => Promise<Command>,
): void {
  const shell = new Argument('<shell>', `one of ${SHELLS.join(', ')}`).choices(SHELLS);
  describeVerb(completion.addArgument(shell), terminal, TEXTS, async (_session, [which]) => {
    terminal.stdout.write(WRITERS[which as Shell](completionsOf(await loadAll())));
  });
}

function completionsOf(command: Command, path = ''): Completion[] {
  const visible = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  const options = command.createHelp().visibleOptions(command);
  const own = {
    path,
    description: command.description(),
    verbs: visible.map((one) => one.name()),
    options: options.flatMap(({ long }) => long ?? []),
  };
  return [own, ...visible.flatMap((one) => completionsOf(one, `${path} ${one.name()}`.trim()))];
}

const WRITERS: Readonly<Record<Shell, (all: readonly Completion[]) => string>> = {
  bash: writeBash,
  // zsh runs completions of bash.
  zsh: (all) =>
    `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${writeBash(all)}`,
  fish: writeFish,
};

function writeBash(all: readonly Completion[]): string {
  const cases = all
    .toSorted((a, b) => b.path.length - a.path.length)
    .map(({ path, verbs, options }) => {
      const pattern = path === '' ? '*' : `'${path}'*`;
      return `    ${pattern}) words='${[...verbs, ...options].join(' ')}' ;;\n`;
    });
  return `_popfleet() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case $path in
${cases.join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _popfleet popfleet
`;
}

function writeFish(all: readonly Completion[]): string {
  const lines = ['complete -c popfleet -f'];
  for (const { path, verbs, options } of all) {
    const [noun, verb] = path.split(' ');
    const seen = [noun, verb]
      .filter((word) => word !== undefined && word !== '')
      .map((word) => `__fish_seen_subcommand_from ${word}`);
    const where = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ');
    for (const word of verbs) {
      const { description = '' } = all.find((one) => one.path === `${path} ${word}`.trim()) ?? {};
      const unseen = seen.length === 0 ? '' : `; and not __fish_seen_subcommand_from ${verbs.join(' ')}`;
      lines.push(`complete -c popfleet -n '${where}${unseen}' -a ${word} -d '${quoted(description)}'`);
    }
    for (const option of options) lines.push(`complete -c popfleet -n '${where}' -l ${option.slice(2)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Within single quotes of fish. */
function quoted(text: string): string {
  return text.replaceAll(/['\\]/g, String.raw`\$&`);
}
