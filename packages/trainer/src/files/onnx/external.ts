// Tensors whose elements lie in another file. The name comes from the model, so it must be the plain name of a regular file
// in the model's own folder, also after symbolic links; what is read is bounded by what the tensors' dimensions need.
import { constants } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ONNX_LIMITS } from './limits.js';
import type { OnnxModel, OnnxTensor } from './schema.js';
import { bytesOf } from './tensor.js';
import { WireError } from './wire.js';

/** The model with every external tensor read. Throws WireError. */
export async function withExternalData(model: OnnxModel, path: string): Promise<OnnxModel> {
  const { initializers } = model.graph;
  if (initializers.every(({ external }) => external === undefined)) return model;
  const files = new Map<string, { handle: FileHandle; size: number }>();
  let total = 0;
  try {
    const read: OnnxTensor[] = [];
    for (const tensor of initializers) {
      if (tensor.external === undefined) {
        read.push(tensor);
        continue;
      }
      total += bytesOf(tensor);
      if (total > ONNX_LIMITS.bytes) throw new WireError(`asks for more than ${ONNX_LIMITS.bytes} bytes of external data`);
      const location = tensor.external.get('location') ?? '';
      const file = files.get(location) ?? (await openBeside(path, location));
      files.set(location, file);
      const { name, dims, dataType } = tensor;
      read.push({ name, dims, dataType, raw: await readRange(tensor, file) });
    }
    return { ...model, graph: { ...model.graph, initializers: read } };
  } finally {
    for (const { handle } of files.values()) await handle.close();
  }
}

async function openBeside(path: string, location: string): Promise<{ handle: FileHandle; size: number }> {
  const shown = JSON.stringify(location.slice(0, 100));
  // oxlint-disable-next-line no-control-regex
  const plain = /^[^/\\:\u0000-\u001f]{1,255}$/.test(location) && location !== '.' && location !== '..';
  if (!plain) throw new WireError(`keeps data in ${shown}; external data must be the plain name of a file beside the model`);
  try {
    const folder = await realpath(dirname(path));
    const real = await realpath(join(folder, location));
    if (dirname(real) !== folder)
      throw new WireError(`keeps data in ${shown}, a link to another folder; external data must lie beside the model`);
    const status = await stat(real);
    if (!status.isFile()) throw new WireError(`keeps data in ${shown}, which is no regular file`);
    // What was checked is what is opened: a link that took its place meanwhile is not followed.
    const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW);
    return { handle, size: status.size };
  } catch (error) {
    if (error instanceof WireError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new WireError(`keeps data in ${shown} beside it, which cannot be read (${code})`, { cause: error });
  }
}

async function readRange(tensor: OnnxTensor, { handle, size }: { handle: FileHandle; size: number }): Promise<Uint8Array> {
  const needed = bytesOf(tensor);
  const number = (key: string, fallback: number): number => {
    const text = tensor.external?.get(key);
    if (text === undefined) return fallback;
    if (!/^\d{1,15}$/.test(text))
      throw new WireError(
        `tensor ${JSON.stringify(tensor.name)}: external ${key} is ${JSON.stringify(text.slice(0, 40))}, needs a number of bytes`,
      );
    return Number(text);
  };
  const offset = number('offset', 0);
  const length = number('length', needed);
  if (length !== needed || offset + length > size) {
    throw new WireError(
      `tensor ${JSON.stringify(tensor.name)}: external data of ${length} bytes at ${offset} in a file of ${size}; its dimensions need ${needed} bytes inside the file`,
    );
  }
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0)
      throw new WireError(`tensor ${JSON.stringify(tensor.name)}: external data ends after ${filled} of ${length} bytes`);
    filled += bytesRead;
  }
  return bytes;
}
