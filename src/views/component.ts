// Names for schemas of the OpenAPI document.

import * as v from 'valibot';

/**
 * Gives a schema a name: it appears once, among the components of the document, and generated clients use the name for its
 * type. Requests and answers need different names, because defaults make their fields differ. A name must not end in `Task`
 * or `Input`, the endings of names that are made of task types. A description belongs where the schema is used.
 */
export function named<S extends v.GenericSchema<unknown, unknown>>(name: string, schema: S) {
  return v.pipe(schema, v.metadata({ [COMPONENT]: name }));
}

/** The member of a JSON Schema that has the name, until `hoistComponents` moves it. */
const COMPONENT = 'x-component';

type Json = Readonly<Record<string, unknown>>;

/**
 * Moves every named schema within a value to the components, and leaves a reference.
 * @param components gets the schemas that are found, by name
 * @throws TypeError when two different schemas have one name
 */
export function hoistComponents(value: unknown, components: Map<string, Json>): unknown {
  if (Array.isArray(value)) return value.map((item) => hoistComponents(item, components));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, hoistComponents(member, components)]);
  const { [COMPONENT]: name, ...json } = Object.fromEntries(members) as Json;
  if (typeof name !== 'string') return json;
  const { description, ...schema } = json;
  const known = components.get(name);
  if (known && JSON.stringify(known) !== JSON.stringify(schema)) {
    throw new TypeError(`two schemas are named ${name}`);
  }
  components.set(name, schema);
  return { $ref: refTo(name), ...(description === undefined ? {} : { description }) };
}

export function refTo(component: string): string {
  return `#/components/schemas/${component}`;
}
