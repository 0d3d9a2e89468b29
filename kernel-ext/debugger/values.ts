/** Values of the main thread as DAP variables, and the objects that a client may open. */
import type { Json } from '../protocol/messages';
import { type Inspector, objectGroup, type Property, type RemoteValue } from './inspector';
import { describeTensor } from './tensors';

/** Names in scopes that are the kernel's own. */
const hidden = /^(?:exports|require|this|arguments|tsLastExpr\d*|__\w+)$/;
/** Entries of one object that are shown. */
const longestList = 200;

/** Gives the variables behind a reference. */
type Children = () => Promise<Json[]>;

export class Values {
  private references: Children[] = [];

  constructor(private readonly inspector: Inspector) {}

  /** A number by which a client can ask for variables, until {@link forget}. */
  reference(children: Children): number {
    return this.references.push(children);
  }

  /** The variables behind a reference. */
  async variables(reference: number): Promise<Json[]> {
    return (await this.references[reference - 1]?.()) ?? [];
  }

  /** Lets go of all objects. */
  forget(): void {
    this.references = [];
    this.inspector.post('Runtime.releaseObjectGroup', { objectGroup }).catch(() => undefined);
  }

  /** The variables of several scopes as one: inner ones hide outer ones. */
  async ofScopes(scopes: readonly RemoteValue[]): Promise<Json[]> {
    const lists = await Promise.all(scopes.map(({ objectId = '' }) => this.properties(objectId, true)));
    const seen = new Set<unknown>();
    return lists.flat().filter(({ name }) => !seen.has(name) && seen.add(name));
  }

  /** An object's own properties, and what is in a Map or Set. @param withoutKernel leaves out the kernel's own names */
  async properties(objectId: string, withoutKernel = false): Promise<Json[]> {
    const answer = await this.inspector.post<{ result: Property[]; internalProperties?: Property[] }>(
      'Runtime.getProperties',
      { objectId, ownProperties: true, generatePreview: true },
    );
    const entries = (answer.internalProperties ?? []).find(({ name }) => name === '[[Entries]]')?.value?.objectId;
    const own = answer.result.filter(({ name }) => !withoutKernel || !hidden.test(name));
    const shown = [...own, ...(entries === undefined ? [] : await this.items(entries))];
    const rest = shown.length - longestList;
    const variables = await Promise.all(
      shown.slice(0, longestList).map(({ name, value, get }) => this.variable(name, value ?? get)),
    );
    return rest > 0 ? [...variables, { name: '…', value: `${rest} more`, variablesReference: 0 }] : variables;
  }

  /** What is in a Map or a Set. */
  private async items(objectId: string): Promise<Property[]> {
    const options = { objectId, ownProperties: true, generatePreview: true };
    const { result } = await this.inspector.post<{ result: Property[] }>('Runtime.getProperties', options);
    return result.filter(({ name }) => /^\d+$/.test(name));
  }

  async variable(name: string, value: RemoteValue | undefined): Promise<Json> {
    if (!value) return { name, value: 'not accessible', variablesReference: 0 };
    const { objectId } = value;
    const opens = value.type === 'object' && value.subtype !== 'null' && objectId !== undefined;
    const tensor = opens ? await describeTensor(this.inspector, value) : undefined;
    return {
      name,
      evaluateName: name,
      value: tensor?.text ?? textOf(value),
      ...typeOf(value),
      variablesReference: opens ? this.reference(() => this.properties(objectId)) : 0,
    };
  }
}

/**
 * JupyterLab shows the value of a variable for these four types, and where there is no type; for others it shows the type
 * alone. So objects and tensors have none.
 */
function typeOf({ type, value, className }: RemoteValue): { readonly type?: string } {
  switch (type) {
    case 'number':
      return { type: Number.isInteger(value) ? 'int' : 'float' };
    case 'string':
      return { type: 'str' };
    case 'boolean':
      return { type: 'bool' };
    case 'function':
      // `function` would get an empty node of a tree.
      return { type: !className || className === 'Function' ? 'ƒ' : className };
    default:
      return {};
  }
}

/** A value in one line. */
export function textOf(remote: RemoteValue): string {
  const { type, subtype, value, unserializableValue, description, preview } = remote;
  if (type === 'string') return JSON.stringify(value);
  if (unserializableValue !== undefined) return unserializableValue;
  if (type === 'function') return (description ?? 'function').split('\n')[0];
  if (type !== 'object' || subtype === 'null')
    return subtype === 'null' ? 'null' : (description ?? (typeof value === 'boolean' ? String(value) : type));
  if (!preview || preview.properties.length === 0 || ['error', 'internal#entry'].includes(subtype ?? ''))
    return description ?? 'object';
  const isList = subtype === 'array' || subtype === 'typedarray';
  const parts = preview.properties.map(({ name, value: text, type: kind }) => {
    const shown = kind === 'string' ? JSON.stringify(text) : text || kind;
    return isList && /^\d+$/.test(name) ? shown : `${name}: ${shown}`;
  });
  if (preview.overflow) parts.push('…');
  const inside = parts.join(', ');
  const head = description === 'Object' ? '' : `${description} `;
  return isList ? `${head}[${inside}]` : `${head}{ ${inside} }`;
}
