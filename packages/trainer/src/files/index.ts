// Model files: safetensors with the network inside, written atomically.
export { FileWriteError, writeFileAtomic } from './atomic.js';
export { ModelFileError } from './error.js';
export { declaredTensors, loadModel, saveModel, type Model, type Preprocessing } from './model.js';
export { parseSafetensors, readSafetensors, writeSafetensors, type ReadTensor, type Safetensors, type TensorData } from './safetensors.js';
