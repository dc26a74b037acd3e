export { Parameters, type Weights } from './parameters.js';
export {
  EvaluationPlan,
  trainingBytes,
  TrainingPlan,
  type EvaluationPlanOptions,
  type PlanMemory,
  type TrainingPlanOptions,
} from './plan.js';
