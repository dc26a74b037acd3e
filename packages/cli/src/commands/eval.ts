// n2n eval MODEL --data D: accuracy and loss of a model file on a data set.
import { loadModel, Parameters, type Preprocessing } from '@n2n/trainer';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { count, percent } from '../output/format.js';
import { openData } from '../sources/data.js';
import { checkFits } from '../sources/network.js';
import { adapter, classes, data, mean, split, std } from '../settings/settings.js';
import { evaluateOn, withImages } from '../workflow/network.js';
import { allIndices } from '../workflow/split.js';

export const evalCommand = defineCommand({
  name: 'eval',
  about: 'accuracy and loss of a model on a data set',
  arguments: [{ name: '<model>', about: 'a .safetensors file written by n2n' }],
  settings: { data, classes, split, mean, std, adapter },
  async run(context, values, [path = '']) {
    const model = await loadModel(path);
    const dataset = await openData(values.data, values.classes);
    checkFits(model.spec, dataset);
    const preprocessing: Preprocessing = {
      mean: perChannel('--mean', values.mean, dataset.channels) ?? model.preprocessing.mean,
      std: perChannel('--std', values.std, dataset.channels) ?? model.preprocessing.std,
    };
    const gpu = await context.openGpu(values.adapter);
    const images = dataset[values.split];
    const parameters = await Parameters.create(gpu, model.spec, model.weights);
    const evaluation = await withImages(gpu, images, dataset, (onDevice) =>
      evaluateOn(gpu, parameters, onDevice, preprocessing, allIndices(images.count), context.signal),
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

/** One value for all channels counts for each. */
function perChannel(flag: string, values: readonly number[] | undefined, channels: number): readonly number[] | undefined {
  if (values === undefined || values.length === channels) return values;
  const [only] = values;
  if (values.length === 1 && only !== undefined) return Array.from({ length: channels }, () => only);
  throw new UsageError(`${flag} got ${values.length} values; the images have ${channels} channels, so it needs 1 or ${channels}`);
}
