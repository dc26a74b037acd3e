// Model files of either format, told apart by their ending.
import { ModelFileError } from './error.js';
import { loadModel, saveModel, type Model, type ModelSource } from './model.js';
import { loadOnnx, saveOnnx } from './onnx/index.js';

/** A network from a file, and what was left out in reading it. */
export interface LoadedSource extends ModelSource {
  readonly notes: readonly string[];
}

export type ModelFormat = 'safetensors' | 'onnx';

/** The format that a file's ending names, or undefined. */
export function modelFormat(path: string): ModelFormat | undefined {
  const ending = /\.(safetensors|onnx)$/i.exec(path)?.[1]?.toLowerCase();
  return ending === 'safetensors' || ending === 'onnx' ? ending : undefined;
}

function needFormat(path: string): ModelFormat {
  const format = modelFormat(path);
  if (format === undefined) throw new ModelFileError(path, 'has an unknown ending; a model file ends in .safetensors or .onnx');
  return format;
}

/** Reads a model of either format. Throws ModelFileError. */
export async function loadSource(path: string): Promise<LoadedSource> {
  return needFormat(path) === 'onnx' ? loadOnnx(path) : { ...(await loadModel(path)), notes: [] };
}

/** Writes a model in the format of the ending; `foldBatchNorm` is for ONNX. Throws ModelFileError and FileWriteError. */
export async function saveSource(path: string, model: Model, options: { readonly foldBatchNorm: boolean }): Promise<void> {
  if (needFormat(path) === 'onnx') await saveOnnx(path, model, options);
  else await saveModel(path, model);
}
