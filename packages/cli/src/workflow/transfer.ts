// Policies from another run: taken when a run is made, kept in the new run's folder, so that it needs the other one no longer.
import { decodePolicies, encodePolicies, policiesIn, type SavedPolicy } from '@n2n/agent';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import { sha256, type PolicySource } from '../run/record.js';
import type { Run } from '../run/run.js';

/** The run's copy of the policies that it starts from. */
export const POLICIES_FILE = 'policies.msgpack';

export interface Transfer {
  readonly policies: readonly SavedPolicy[];
  readonly source: PolicySource;
  /** Of POLICIES_FILE. */
  readonly content: Uint8Array;
}

/** What the policies of the run in `folder` have learned. Throws InputError, SnapshotError. */
export async function policiesFrom(folder: string): Promise<Transfer> {
  const path = join(folder, 'state.msgpack');
  const state = await readFile(path).catch((error: unknown) => {
    throw new InputError(
      `--policy-from got ${folder}, but ${path} cannot be read (${error instanceof Error ? error.message : String(error)}); it needs a run ` +
        'directory whose search has made an update',
    );
  });
  const policies = policiesIn(state, path);
  const content = encodePolicies(policies);
  return { policies, content, source: { run: resolve(folder), sha256: sha256(content), stages: policies.map(({ stage }) => stage) } };
}

/** The policies that the run's search starts from; undefined for fresh ones. Throws InputError, SnapshotError. */
export async function policiesOf(run: Run): Promise<readonly SavedPolicy[] | undefined> {
  const source = run.record.configuration.policyFrom;
  if (source === null) return undefined;
  const path = run.path(POLICIES_FILE);
  const content = await readFile(path).catch(() => undefined);
  if (content === undefined) throw new InputError(`${path} is missing; the run needs the policies that it began with`);
  if (sha256(content) !== source.sha256) {
    throw new InputError(
      `${path} has changed since the run began (SHA-256 ${sha256(content)}, then ${source.sha256}); put the original back or begin a new run`,
    );
  }
  return decodePolicies(content, path);
}
