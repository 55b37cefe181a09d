// Makes a checkout ready: packages, a Redis server program, the build. npm runs it before `start` and `test`.
// What is there already costs a few milliseconds and prints nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { isOnPath } from './on-path.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

// Run in turn until a server is on PATH: some systems have Redis, some only Valkey. The time-out: a new machine may
// still be busy with its own updates.
const redisInstalls = {
  'apt-get': ['update', 'install -y --no-install-recommends -o DPkg::Lock::Timeout=120 redis-server'],
  dnf: ['install -y redis', 'install -y valkey'],
  apk: ['add redis', 'add valkey'],
  pacman: ['-Sy --noconfirm redis', '-S --noconfirm valkey'],
  brew: ['install redis'],
};

async function main() {
  // An installed package brings dist/ and its packages with it, and no sources to build from.
  const isCheckout = existsSync(join(root, 'src'));
  if (isCheckout && !hasPackages()) installPackages();
  if (needsRedisServer() && !hasRedisServer()) installRedisServer();
  if (isCheckout && !isBuilt()) {
    say('building');
    await build();
  }
}

/** Whether npm's own list of what it installed agrees with the lock file, however the packages came there. */
function hasPackages() {
  try {
    const wanted = packagesOf('package-lock.json');
    const installed = packagesOf('node_modules/.package-lock.json');
    return Object.entries(wanted).every(([path, { version, optional }]) => {
      const isRoot = path === '';
      if (!installed[path]) return isRoot || optional === true; // optional: those of other platforms
      return installed[path].version === version;
    });
  } catch {
    return false;
  }
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(join(root, lockFile), 'utf8')).packages;
}

function installPackages() {
  say('installing packages (npm ci)');
  // Development packages in any NODE_ENV: the build needs the compiler. And no minimum age: that guards the choice
  // of a version, which the lock file has made.
  const options = ['--include=dev', '--min-release-age=0', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, error } = spawnSync('npm', ['ci', '--loglevel=error', ...options], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error('npm ci failed.');
}

/** The tests start servers of their own; `npm start` only starts one when no other was named. */
function needsRedisServer() {
  return process.env.npm_lifecycle_event !== 'prestart' || !process.env.REDIS_URL;
}

function hasRedisServer() {
  return isOnPath('redis-server') || isOnPath('valkey-server');
}

function installRedisServer() {
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  for (const [tool, commands] of Object.entries(redisInstalls)) {
    const asRoot = rootPrefix(tool);
    if (!isOnPath(tool) || !asRoot) continue;
    say(`installing a Redis server (${tool})`);
    for (const command of commands) {
      // `env`, because sudo drops the variables it was given.
      const [file, ...args] = [...asRoot, ...env, tool, ...command.split(' ')];
      spawnSync(file, args, { stdio: 'ignore' });
      if (hasRedisServer()) return;
    }
  }
  throw new Error(
    'no Redis server found, and none could be installed: put redis-server (7.0 or later) or valkey-server on PATH' +
      (process.env.npm_lifecycle_event === 'prestart' ? ', or set REDIS_URL to one that runs.' : '.'),
  );
}

/** What to put before a package manager's command, or undefined when it may not be run. */
function rootPrefix(tool) {
  if (tool === 'brew' || process.getuid?.() === 0) return []; // brew refuses to be root
  return isOnPath('sudo') ? ['sudo', '-n'] : undefined;
}

function say(step) {
  console.log(`setup: ${step}`);
}

try {
  await main();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
