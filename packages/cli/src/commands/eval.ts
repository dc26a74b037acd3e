// n2n eval MODEL --data D: accuracy and loss of a model file on a data set.
import { Parameters } from '@n2n/trainer';
import { defineCommand } from '../command.js';
import { count, percent } from '../output/format.js';
import { openData } from '../sources/data.js';
import { modelFor, openSource } from '../sources/model.js';
import { adapter, classes, data, images, mean, split, std } from '../settings/settings.js';
import { evaluateOn, withImages } from '../workflow/network.js';
import { allIndices } from '../workflow/split.js';

export const evalCommand = defineCommand({
  name: 'eval',
  about: 'accuracy and loss of a model on a data set',
  arguments: [{ name: '<model>', about: 'a .safetensors or .onnx model' }],
  settings: { data, classes, ...images, split, mean, std, adapter },
  async run(context, values, [path = '']) {
    const source = await openSource(context.output, path);
    const dataset = await openData(values.data, values);
    const model = modelFor(context.output, path, source, values, dataset);
    const gpu = await context.openGpu(values.adapter);
    const images = dataset[values.split];
    const parameters = await Parameters.create(gpu, model.spec, model.weights);
    const evaluation = await withImages(context, gpu, images, dataset, (onDevice) =>
      evaluateOn(gpu, parameters, onDevice, model.preprocessing, allIndices(images.count), {
        signal: context.signal,
        progress: context.output.progress('evaluating', 'samples'),
      }),
    );
    await parameters.destroy();
    const { accuracy, loss, samples } = evaluation;
    context.output.result(
      { accuracy, loss, samples },
      () =>
        `${model.spec.name} on the ${values.split} images of ${dataset.name}: accuracy ${percent(accuracy)}, loss ${loss.toFixed(4)}, ${count(samples)} images\n`,
    );
  },
});
