// Model files: safetensors with the network inside, ONNX; written atomically.
export { FileWriteError, writeFileAtomic } from './atomic.js';
export { ModelFileError } from './error.js';
export { declaredTensors, encodeModel, loadModel, saveModel, type Model, type ModelSource, type Preprocessing } from './model.js';
export { loadOnnx, saveOnnx, type OnnxSource } from './onnx/index.js';
export { loadSource, modelFormat, saveSource, type LoadedSource, type ModelFormat } from './source.js';
export { parseSafetensors, readSafetensors, writeSafetensors, type ReadTensor, type Safetensors, type TensorData } from './safetensors.js';
