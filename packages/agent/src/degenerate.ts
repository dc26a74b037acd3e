// Students that are not worth training (METHOD, "Degenerate students"): they get reward -1 and a reason.
import { analyse, channelsOf, macs, parameterCount, type NetworkSpec } from '@n2n/trainer/network';
import type { Student } from './repair.js';
import { choosesWidth } from './skips.js';

/** Most inputs of a linear layer. */
const LINEAR_INPUT_LIMIT = 50_000;

export const DEGENERATE_REWARD = -1;

/** Trainable parameters, and multiply-adds of one image's forward pass. */
export interface Costs {
  readonly params: number;
  readonly macs: number;
}

/**
 * The student, or the first reason against it. That a feature map shrinks to nothing is found by the repair: no kernel fits a
 * map smaller than itself. A student must have fewer trainable parameters than the teacher (METHOD), and no more multiply-adds
 * (docs/decisions/0002): one that is slower than its teacher is not worth its training.
 */
export function judge(student: Student, teacher: Costs): Student {
  if (student.kind === 'degenerate') return student;
  const reason = fault(student.spec, teacher);
  return reason === undefined ? student : { kind: 'degenerate', reason };
}

function fault(spec: NetworkSpec, teacher: Costs): string | undefined {
  if (spec.nodes.filter(choosesWidth).length < 2) return 'nothing is left between the input and the output layer';
  for (const { node, inputShapes } of analyse(spec).nodes) {
    const [input] = inputShapes;
    if (node.type === 'linear' && input !== undefined && channelsOf(input) > LINEAR_INPUT_LIMIT) {
      return `node "${node.id}": linear layer has ${channelsOf(input)} inputs, at most ${LINEAR_INPUT_LIMIT} are allowed`;
    }
  }
  const params = parameterCount(spec);
  if (params >= teacher.params) return `has ${params} parameters, not fewer than the teacher's ${teacher.params}`;
  const operations = macs(spec);
  if (operations > teacher.macs) return `has ${operations} multiply-adds, more than the teacher's ${teacher.macs}`;
  return undefined;
}
