// Sets of defaults under one name: what a flag, a variable or the configuration file says still wins.
import { z } from 'zod';
import type { Setting, Sources } from './setting.js';
import { resolveSettings } from './setting.js';
import { data as dataSetting, type search } from './settings.js';

type SearchSettings = typeof search;
/** Values for settings of the search, as they are after parsing. */
type PresetValues = { readonly [K in keyof SearchSettings]?: SearchSettings[K] extends Setting<infer T> ? T : never };

const presetNames = ['paper'] as const;

export const preset: Setting<(typeof presetNames)[number] | undefined> = {
  flags: '--preset <name>',
  about: 'paper: the published hyper-parameters as defaults; flags, variables and the configuration file win',
  needs: `one of ${presetNames.join(', ')}`,
  schema: z.enum(presetNames),
  fallback: undefined,
};

/**
 * N2N learning (arXiv 1709.06030), section 4 and the released code: 100 updates of 5 rollouts, the moving-average baseline, students
 * from random weights trained for 5 epochs with Adam at 5e-4, in batches of 64, or 200 with crops and flips on CIFAR. Not in it:
 * what the paper leaves open (the final training's length and lambda) and what it does not have (cohorts, constraints, the
 * validation split), which keep their defaults. The stages' learning rates, 0.003 and 0.01, are no flags.
 */
export function paperPreset(data: string | undefined): PresetValues {
  const isCifar = data === 'cifar10' || data === 'cifar100';
  return {
    stages: ['removal', 'shrinkage'],
    updates: 100,
    rollouts: 5,
    baseline: 'average',
    entropyBonus: 0,
    removalPolicy: 'bidirectional',
    shrinkagePolicy: 'autoregressive',
    shrinkageActions: 'layer',
    candidates: 0,
    lenientUpdates: 15,
    prior: 0,
    roundTo: 1,
    init: 'random',
    epochs: 5,
    halving: 1,
    top: 1,
    batch: isCifar ? 200 : 64,
    learningRate: 5e-4,
    weightDecay: 5e-4,
    schedule: 'constant',
    subset: 0,
    cropPadding: isCifar ? 4 : 0,
    flip: isCifar,
    // As many as epochs, which is as close as fixed views come to a fresh one each time.
    views: isCifar ? 5 : 0,
  };
}

/** The defaults that the command line's preset stands for; undefined without one. Throws UsageError. */
export function presetOf(sources: Sources): PresetValues | undefined {
  const values = resolveSettings({ preset, data: dataSetting }, sources);
  return values.preset === undefined ? undefined : paperPreset(values.data);
}
