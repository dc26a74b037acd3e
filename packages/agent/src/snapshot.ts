// The state of a search after an update, in one small file that is replaced atomically. It saves replaying the journal from
// its start; without it a search is resumed all the same, from the journal alone. It is also where another search finds what
// this one's policies have learned.
import { readFile } from 'node:fs/promises';
import type { NetworkSpec } from '@n2n/trainer/network';
import type { CriticState } from './critic.js';
import type { AdamState } from './nn/adam.js';
import { pack, replaceFile, toBytes, toDoubles, unpack } from './packed.js';
import type { SavedPolicy } from './policies/saved.js';

/** Everything that the search carries from one update to the next and that is not in the journal. */
export interface SearchState {
  /** Number of journal records that the state includes. */
  readonly sequence: number;
  /** Index into the search's stages. */
  readonly stage: number;
  /** The stage's next update. */
  readonly update: number;
  /** The network that the stage started from. */
  readonly base: NetworkSpec;
  readonly policy: SavedPolicy;
  /** The last policies of the stages before this one. */
  readonly learned: readonly SavedPolicy[];
  readonly optimiser: AdamState;
  /** The moving-average baseline; null before the first update. */
  readonly baseline: number | null;
  /** Null without one. */
  readonly critic: CriticState | null;
}

/** Where the search keeps its state. */
export interface SnapshotStore {
  load(): Promise<SearchState | undefined>;
  save(state: SearchState): Promise<void>;
}

const STATE_FORMAT = 'search-state/2';
const POLICIES_FORMAT = 'policies/1';
const STATE_ADVICE = 'delete it to have the search replayed from its journal';

type PackedPolicy = Omit<SavedPolicy, 'values'> & { readonly values: Uint8Array };
const packPolicy = (policy: SavedPolicy): PackedPolicy => ({ ...policy, values: toBytes(policy.values) });
const unpackPolicy = (policy: PackedPolicy): SavedPolicy => ({ ...policy, values: toDoubles(policy.values) });

interface PackedAdam {
  readonly steps: number;
  readonly first: Uint8Array;
  readonly second: Uint8Array;
}
const packAdam = ({ steps, first, second }: AdamState): PackedAdam => ({ steps, first: toBytes(first), second: toBytes(second) });
const unpackAdam = ({ steps, first, second }: PackedAdam): AdamState => ({ steps, first: toDoubles(first), second: toDoubles(second) });

type Body = Omit<SearchState, 'policy' | 'learned' | 'optimiser' | 'critic'> & {
  readonly policy: PackedPolicy;
  readonly learned: readonly PackedPolicy[];
  readonly optimiser: PackedAdam;
  readonly critic: { readonly values: Uint8Array; readonly optimiser: PackedAdam } | null;
};

export function encodeSnapshot({ policy, learned, optimiser, critic, ...rest }: SearchState): Uint8Array {
  return pack(STATE_FORMAT, {
    ...rest,
    policy: packPolicy(policy),
    learned: learned.map(packPolicy),
    optimiser: packAdam(optimiser),
    critic: critic && { values: toBytes(critic.values), optimiser: packAdam(critic.optimiser) },
  } satisfies Body);
}

export function decodeSnapshot(content: Uint8Array, name = 'snapshot', advice = STATE_ADVICE): SearchState {
  const { policy, learned, optimiser, critic, ...rest } = unpack(content, STATE_FORMAT, name, advice) as Body;
  return {
    ...rest,
    policy: unpackPolicy(policy),
    learned: learned.map(unpackPolicy),
    optimiser: unpackAdam(optimiser),
    critic: critic && { values: toDoubles(critic.values), optimiser: unpackAdam(critic.optimiser) },
  };
}

/** What a search's policies have learned, the last of each stage, from the content of its snapshot. Throws SnapshotError. */
export function policiesIn(snapshot: Uint8Array, name: string): readonly SavedPolicy[] {
  const { learned, policy } = decodeSnapshot(
    snapshot,
    name,
    'policies can be taken only from a run of this version with an undamaged state',
  );
  return [...learned, policy];
}

/** Policies as a file of their own, equal byte for byte for equal policies. */
export function encodePolicies(policies: readonly SavedPolicy[]): Uint8Array {
  return pack(POLICIES_FORMAT, policies.map(packPolicy));
}

/** Throws SnapshotError. */
export function decodePolicies(content: Uint8Array, name: string): readonly SavedPolicy[] {
  return (unpack(content, POLICIES_FORMAT, name, 'put the original back or begin a new run') as PackedPolicy[]).map(unpackPolicy);
}

/** A store in one file; a save writes a temporary file beside it, flushes it and renames it over the old one. */
export function fileSnapshot(path: string): SnapshotStore {
  return {
    load: async () => {
      let content: Uint8Array;
      try {
        content = await readFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      return decodeSnapshot(content, path);
    },
    save: (state) => replaceFile(path, encodeSnapshot(state)),
  };
}
