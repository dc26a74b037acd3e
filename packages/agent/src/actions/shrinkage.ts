// Stage 2, layer shrinkage: each layer's kernel, padding and width scaled by one of 0.1, 0.2, ..., 1.0, one decision a layer and
// attribute (METHOD, "Stage 2"). The paper scales strides as well; a smaller stride makes every map behind it larger, so here
// strides stay (docs/decisions/0002). Widths that the graph couples are one decision, made by their first producer.
// As a further action space (`group`), only these are decided: one action for each group of coupled channels.
import {
  channelGroups,
  nodeTypeOf,
  type AttributeValue,
  type ChannelGroup,
  type NetworkSpec,
  type NodeSpec,
  type Shrinkable,
} from '@n2n/trainer/network';
import { encodeLayers, LAYER_STATE_SIZE } from '../encoder.js';
import { withChanges, type AttributeChanges } from '../repair.js';
import { findSkips } from '../skips.js';
import type { Problem } from './problem.js';

/** Action a scales by (a + 1) / 10; the last one changes nothing. */
const ACTIONS = 10;
export const UNCHANGED = ACTIONS - 1;

/** Logits of a fresh policy at a prior of 1, which scales by 0.85 on average. */
export const shrinkagePrior: readonly number[] = Array.from({ length: ACTIONS }, (_, action) => 0.5 * action);

/** What an action is about, one-hot after the layer's state. */
const KINDS = ['kernel', 'stride', 'padding', 'width'] as const;
type Kind = (typeof KINDS)[number];

/** What is decided: every layer's attributes one by one, or the width of every group of coupled channels and nothing else. */
export const shrinkageActions = ['layer', 'group'] as const;
export type ShrinkageActions = (typeof shrinkageActions)[number];

/** Divisor that brings log2(1 + value) of common numbers of producers (up to 15) to 0 .. 1. */
const PRODUCER_SCALE = 4;

/** A group's state is that of the layer that decides for it, and how many layers produce its channels. */
export const shrinkageSizes: Readonly<Record<ShrinkageActions, { readonly stateSize: number; readonly actions: number }>> = {
  layer: { stateSize: LAYER_STATE_SIZE + KINDS.length, actions: ACTIONS },
  group: { stateSize: LAYER_STATE_SIZE + 1, actions: ACTIONS },
};

export interface ShrinkageOptions {
  readonly shrinkageActions: ShrinkageActions;
  /** Scaled widths are brought to a multiple of this (adapters like 4, 8 or 16); 1 leaves them as they are. */
  readonly roundTo: number;
}

interface Decision {
  readonly node: NodeSpec;
  readonly attribute: string;
  readonly kind: Kind;
  readonly minimum: number;
  /** For widths: the coupled channels that the decision is about. */
  readonly group: ChannelGroup | undefined;
  /** Why it is not free: a coupled width that another layer decides, a projection that follows, the logits, a stride. */
  readonly fixed: string | undefined;
}

export function shrinkageProblem(spec: NetworkSpec, options: ShrinkageOptions): Problem {
  const rows = encodeLayers(spec);
  const perGroup = options.shrinkageActions === 'group';
  const decisions = findDecisions(spec).filter(({ group }) => !perGroup || group !== undefined);
  const index = new Map(spec.nodes.map(({ id }, row) => [id, row]));
  const states = decisions.map(({ node, kind, group }) => {
    const state = new Float64Array(shrinkageSizes[options.shrinkageActions].stateSize);
    state.set(rows[index.get(node.id)!]!);
    if (perGroup) state[LAYER_STATE_SIZE] = Math.log2(1 + (group?.producers.length ?? 0)) / PRODUCER_SCALE;
    else state[LAYER_STATE_SIZE + KINDS.indexOf(kind)] = 1;
    return state;
  });
  return {
    episode: { states, legal: decisions.map((decision) => legalActions(decision, options)) },
    labels: decisions.map(({ node, attribute }) => `${node.id}.${attribute}`),
    apply: (actions) => applyActions(spec, decisions, actions, options),
  };
}

function findDecisions(spec: NetworkSpec): Decision[] {
  const followers = new Set(findSkips(spec).flatMap(({ projection }) => projection));
  const deciders = new Map<string, ChannelGroup>();
  const { groups } = channelGroups(spec);
  const widthReasons = new Map<string, string>();
  for (const group of groups) {
    const decider = group.producers.find((id) => !followers.has(id)) ?? group.producers[0];
    const reason = group.fixed ? `is fixed (${group.reason})` : `is that of "${decider}"`;
    for (const id of group.producers) widthReasons.set(id, reason);
    if (decider !== undefined && !group.fixed) deciders.set(decider, group);
  }
  return spec.nodes.flatMap((node) => {
    const type = nodeTypeOf(node);
    return type.shrinkable.map(({ attribute, minimum }: Shrinkable): Decision => {
      if (attribute !== type.widthAttribute) {
        const kind = KINDS.find((name) => name === attribute);
        if (kind === undefined)
          throw new Error(`node type "${node.type}" shrinks "${attribute}"; the shrinkage stage knows ${KINDS.join(', ')}`);
        const follows = followers.has(node.id) ? 'is part of a shortcut, which follows the layers beside it' : undefined;
        const fixed = kind === 'stride' ? 'stays: a smaller one makes every later map larger' : follows;
        return { node, attribute, kind, minimum, group: undefined, fixed };
      }
      const group = deciders.get(node.id);
      const fixed = group === undefined ? (widthReasons.get(node.id) ?? 'is one for each channel of its input (depthwise)') : undefined;
      return { node, attribute, kind: 'width', minimum, group, fixed };
    });
  });
}

/** By layer and attribute, why the stage leaves it as it is, as a clause: "is fixed (logits)". */
export function fixedSizes(spec: NetworkSpec): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const reasons = new Map<string, Record<string, string>>();
  for (const decision of findDecisions(spec)) {
    const free = legalActions(decision, { roundTo: 1, shrinkageActions: 'layer' }).filter(Boolean).length > 1;
    if (free) continue;
    const reason = decision.fixed ?? 'is as small as it may get';
    reasons.set(decision.node.id, { ...reasons.get(decision.node.id), [decision.attribute]: reason });
  }
  return reasons;
}

/** All actions where the decision is free and some action changes something; else only the one that changes nothing. */
function legalActions(decision: Decision, options: ShrinkageOptions): boolean[] {
  const live =
    decision.fixed === undefined &&
    Array.from({ length: UNCHANGED }, (_, action) => action).some((action) => changes(decision, action, options));
  return Array.from({ length: ACTIONS }, (_, action) => live || action === UNCHANGED);
}

function changes(decision: Decision, action: number, options: ShrinkageOptions): boolean {
  if (decision.group !== undefined) return scaleWidth(decision.group, decision.minimum, action, options) !== decision.group.width;
  return numbers(decision.node.attributes[decision.attribute]).some((value) => scale(value, decision.minimum, action) !== value);
}

/** value * (action + 1) / 10, halves rounded up, not under `minimum` nor over `value`. */
function scale(value: number, minimum: number, action: number): number {
  return Math.min(value, Math.max(minimum, Math.floor((value * (action + 1) + 5) / 10)));
}

/** A group's width after an action: scaled, at the floor or more, then to the nearest multiple that both allow. */
function scaleWidth({ width, multipleOf }: ChannelGroup, minimum: number, action: number, { roundTo }: ShrinkageOptions): number {
  const scaled = scale(width, minimum, action);
  if (scaled === width) return width;
  const step = leastCommonMultiple(multipleOf, roundTo);
  const least = step * Math.ceil(Math.min(minimum, width) / step);
  return Math.min(width, Math.max(least, step * Math.round(scaled / step)));
}

function applyActions(spec: NetworkSpec, decisions: readonly Decision[], actions: readonly number[], options: ShrinkageOptions) {
  const widths = new Map<string, number>();
  const windows = new Map<string, Partial<Record<Kind, number>>>();
  for (const [t, { node, kind, group, fixed }] of decisions.entries()) {
    const action = actions[t]!;
    if (fixed !== undefined || action === UNCHANGED) continue;
    if (group !== undefined) widths.set(group.id, scaleWidth(group, decisions[t]!.minimum, action, options));
    else windows.set(node.id, { ...windows.get(node.id), [kind]: action });
  }
  const changed = new Map<string, AttributeChanges>();
  for (const node of spec.nodes) {
    const chosen = windows.get(node.id);
    if (chosen !== undefined) changed.set(node.id, scaleWindow(node, chosen));
  }
  return withChanges(spec, widths, changed);
}

/**
 * New kernel and padding of one node. Padding first follows the kernel - a layer that kept its map's size ("same":
 * both sides of an axis add up to kernel - 1) still does, any other pads less than its kernel's reach on a side if it did
 * before - and is then scaled by its own action.
 */
function scaleWindow(node: NodeSpec, chosen: Partial<Record<Kind, number>>): AttributeChanges {
  const { kernel: oldKernel, padding } = node.attributes;
  const kernel = numbers(oldKernel).map((size) => scale(size, 1, chosen.kernel ?? UNCHANGED));
  const [top = 0, left = 0, bottom = 0, right = 0] = numbers(padding);
  const axis = (dimension: 0 | 1, before: number, after: number): [number, number] => {
    const [was, is] = [numbers(oldKernel)[dimension]!, kernel[dimension]!];
    const total = before + after;
    const followed = total === was - 1 ? is - 1 : total < was ? Math.min(total, is - 1) : total;
    const scaled = scale(followed, 0, chosen.padding ?? UNCHANGED);
    return scaled === total ? [before, after] : [Math.floor(scaled / 2), Math.ceil(scaled / 2)];
  };
  const [newTop, newBottom] = axis(0, top, bottom);
  const [newLeft, newRight] = axis(1, left, right);
  return { kernel, padding: [newTop, newLeft, newBottom, newRight] };
}

function numbers(value: AttributeValue | undefined): readonly number[] {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) ? (value as readonly number[]) : [];
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
