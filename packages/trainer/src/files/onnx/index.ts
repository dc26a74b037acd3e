// ONNX files: networks from other tools in, students out.
import { basename } from 'node:path';
import { SpecError } from '../../network/index.js';
import { writeFileAtomic } from '../atomic.js';
import { readModelBytes } from '../bytes.js';
import { ModelFileError } from '../error.js';
import { checkModel, PREPROCESSING_KEY, readPreprocessing, type Model, type ModelSource } from '../model.js';
import { decodeModel } from './decode.js';
import { encodeModel } from './encode.js';
import { exportModel, PRODUCER } from './export.js';
import { withExternalData } from './external.js';
import { importGraph, NodeError } from './import/index.js';
import { WireError } from './wire.js';

/** An imported model: preprocessing only where n2n wrote the file, and what was left out in reading it. */
export interface OnnxSource extends ModelSource {
  readonly notes: readonly string[];
}

/** Reads an .onnx file of operator set 7 to 21, with external data beside it. Throws ModelFileError. */
export async function loadOnnx(path: string): Promise<OnnxSource> {
  const bytes = await readModelBytes(path, '.onnx');
  try {
    const model = await withExternalData(decodeModel(bytes), path);
    const fallback =
      basename(path)
        .replace(/\.onnx$/i, '')
        .slice(0, 256) || 'network';
    const own = model.producer === PRODUCER && model.graph.name !== '';
    const { spec, weights, notes } = importGraph(model, own ? model.graph.name.slice(0, 256) : fallback);
    if (!model.metadata.has(PREPROCESSING_KEY)) return { spec, weights, notes };
    return { spec, weights, notes, preprocessing: readPreprocessing(Object.fromEntries(model.metadata), spec, path) };
  } catch (error) {
    if (error instanceof WireError || error instanceof NodeError || error instanceof SpecError) {
      throw new ModelFileError(path, error.message, { cause: error });
    }
    throw error;
  }
}

/**
 * Writes a model as ONNX (operator set 17, any batch size, preprocessing in the metadata), atomically. `foldBatchNorm` works
 * batch-norms into the convolutions before them; without it the file can be trained on. Throws ModelFileError.
 */
export async function saveOnnx(path: string, model: Model, options: { readonly foldBatchNorm: boolean }): Promise<void> {
  checkModel(model, path);
  await writeFileAtomic(path, encodeModel(exportModel(model, options)));
}
