// n2n convert IN OUT: a model file in the other format. Needs no device.
import { modelFormat, saveSource } from '@n2n/trainer';
import { parameterCount } from '@n2n/trainer/network';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { bytes, count } from '../output/format.js';
import { toggle } from '../settings/kinds.js';
import { mean, std } from '../settings/settings.js';
import { openSource, statedPreprocessing } from '../sources/model.js';

const fold = toggle(
  { flags: '--fold', about: 'work batch-norms into the layers before them (.onnx): smaller and faster, not to be trained on' },
  false,
);

export const convertCommand = defineCommand({
  name: 'convert',
  about: 'writes a model file in another format, by the ending: .safetensors or .onnx',
  arguments: [
    { name: '<in>', about: 'a .safetensors or .onnx model' },
    { name: '<out>', about: 'the file to write, which is replaced' },
  ],
  settings: { mean, std, fold },
  async run(context, values, [from = '', to = '']) {
    const format = modelFormat(to);
    if (format === undefined) throw new UsageError(`${to}: has an unknown ending; a model file ends in .safetensors or .onnx`);
    if (values.fold && format !== 'onnx')
      throw new UsageError('--fold is for .onnx files; a .safetensors model keeps its batch-norms to be trained on');
    if (resolve(from) === resolve(to)) throw new UsageError(`${to} is the file that is read; give another name`);
    const source = await openSource(context.output, from);
    const preprocessing = statedPreprocessing(source, from, values);
    await saveSource(to, { spec: source.spec, weights: source.weights, preprocessing }, { foldBatchNorm: values.fold });
    const { size } = await stat(to);
    const params = parameterCount(source.spec);
    context.output.result(
      { file: resolve(to), format, bytes: size, params, preprocessing },
      () => `${source.spec.name}: ${count(params)} parameters, ${bytes(size)} written to ${to}\n`,
    );
  },
});
