// Which of many students are worth a look: those that no other one beats in everything at once.
import type { FinishedStudent } from './ledger.js';

export interface ParetoFront {
  /** What stands for speed beside parameters and accuracy: latencies where every student has one, else multiply-adds. */
  readonly speed: 'latencyMs' | 'macs';
  /** From the fewest parameters to the most. */
  readonly students: readonly FinishedStudent[];
}

/**
 * The students that no other one equals or beats in parameters, speed and validation accuracy while beating it in one. Of students
 * that are equal in all three the one found first stays; those whose training failed (no finite loss) are left out.
 */
export function paretoFront(finished: readonly FinishedStudent[]): ParetoFront {
  const students = finished.filter(({ loss }) => loss !== null);
  const speed = students.length > 0 && students.every(({ measures }) => measures.latencyMs != null) ? 'latencyMs' : 'macs';
  /** All three as costs. */
  const costs = (student: FinishedStudent): [number, number, number] => {
    const { params, accuracy } = student.measures;
    return [params, student.measures[speed] ?? Infinity, -accuracy];
  };
  // In this order whoever beats a student comes before it, so it is enough to look at the front so far.
  const order = students.map((student) => ({ student, cost: costs(student) })).sort((a, b) => compare(a.cost, b.cost));
  const front: typeof order = [];
  for (const entry of order) {
    if (!front.some(({ cost }) => cost.every((value, i) => value <= entry.cost[i]!))) front.push(entry);
  }
  return { speed, students: front.map(({ student }) => student) };
}

/** Lexicographic; the sort is stable, so equals stay in the order of training. */
function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
