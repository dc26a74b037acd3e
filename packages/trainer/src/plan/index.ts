export { Parameters, type Weights } from './parameters.js';
export { EvaluationPlan, TrainingPlan, type PlanMemory, type TrainingPlanOptions } from './plan.js';
