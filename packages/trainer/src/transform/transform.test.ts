// Transformations keep the function: on the device, against the network as it was.
import { openDevice } from '@n2n/kernels';
import { afterAll, describe, expect, it } from 'vitest';
import { loadOnnx } from '../files/index.js';
import { parameterCount, parseSpec, zooSpec } from '../network/index.js';
import { Parameters } from '../plan/index.js';
import { keyedRandom } from '../random.js';
import { deviceLogits, onnxFixture, plainPreprocessing, randomWeights, relativeDifference } from '../testing/onnx.js';
import { DeviceImages } from '../train/images.js';
import { channelStatistics } from '../train/index.js';
import { bareConvolutions, foldBatchNorm, insertBatchNorm, type Network } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

const fixture = onnxFixture('residual');
const preprocessing = plainPreprocessing(3);

async function statisticsOf(network: Network, convolutions: readonly string[]) {
  const { pixels, images: count } = fixture;
  const images = await DeviceImages.create(gpu, { count, images: pixels, labels: new Uint8Array(count) }, network.spec.input);
  const parameters = await Parameters.create(gpu, network.spec, network.weights);
  const indices = Uint32Array.from({ length: count }, (_, i) => i);
  const statistics = await channelStatistics(gpu, parameters, images, { convolutions, indices, preprocessing });
  await parameters.destroy();
  await images.destroy();
  return statistics;
}

/** The 7x7 convolution of stride 2 and padding 3 on the fixture's images: by channel, all images and places. */
function stemOutputs(weight: Float32Array, bias: Float32Array): number[][] {
  const { pixels, images, height, width } = fixture;
  const outputs: number[][] = Array.from(bias, () => []);
  for (let n = 0; n < images; n++) {
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        outputs.forEach((channel, f) => {
          let sum = bias[f]!;
          for (let c = 0; c < 3; c++) {
            for (let tap = 0; tap < 49; tap++) {
              const [row, column] = [y - 3 + Math.floor(tap / 7), x - 3 + (tap % 7)];
              const inside = row >= 0 && row < height && column >= 0 && column < width;
              if (inside) sum += (weight[(f * 3 + c) * 49 + tap]! * pixels[((n * 3 + c) * height + row) * width + column]!) / 255;
            }
          }
          channel.push(sum);
        });
      }
    }
  }
  return outputs;
}

describe('batch-norms put back', () => {
  it('leave the function as it is, and give the parameters that the network had before the export', async () => {
    const folded = await loadOnnx(fixture.path);
    const bare = bareConvolutions(folded.spec);
    expect(bare).toHaveLength(4);
    const network = insertBatchNorm(folded, bare);
    expect(parameterCount(network.spec)).toBe(parameterCount((await loadOnnx(onnxFixture('residual-bn').path)).spec));
    expect(bareConvolutions(network.spec)).toEqual([]);
    const before = await deviceLogits(gpu, folded, fixture.pixels, preprocessing);
    expect(relativeDifference(await deviceLogits(gpu, network, fixture.pixels, preprocessing), before)).toBeLessThan(1e-5);
    const calibrated = insertBatchNorm(folded, bare, await statisticsOf(folded, bare));
    expect(relativeDifference(await deviceLogits(gpu, calibrated, fixture.pixels, preprocessing), before)).toBeLessThan(1e-5);
    const again = foldBatchNorm(calibrated);
    expect(again.spec).toEqual(folded.spec);
    expect(relativeDifference(await deviceLogits(gpu, again, fixture.pixels, preprocessing), before)).toBeLessThan(1e-5);
  });

  it('start from the mean and the variance of what the convolution gives', async () => {
    const folded = await loadOnnx(fixture.path);
    const [stem = ''] = bareConvolutions(folded.spec);
    const values = stemOutputs(folded.weights.get(`${stem}.weight`)!, folded.weights.get(`${stem}.bias`)!);
    const statistics = (await statisticsOf(folded, [stem])).get(stem)!;
    const network = insertBatchNorm(folded, [stem], new Map([[stem, statistics]]));
    values.forEach((channel, c) => {
      const mean = channel.reduce((sum, value) => sum + value, 0) / channel.length;
      const variance = channel.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channel.length;
      expect(statistics.mean[c]).toBeCloseTo(mean, 5);
      expect(statistics.variance[c]).toBeCloseTo(variance, 5);
      // Normalised by such a batch, the batch-norm gives what the convolution gave.
      expect(network.weights.get(`${stem}.norm.weight`)![c]).toBeCloseTo(Math.sqrt(variance + 1e-5), 5);
      expect(network.weights.get(`${stem}.norm.bias`)![c]).toBeCloseTo(mean, 5);
    });
  });

  it('are not put behind logits, nor where one is', async () => {
    const squeeze = await loadOnnx(onnxFixture('squeeze').path);
    expect(bareConvolutions(squeeze.spec)).toEqual(['conv', 'squeeze', 'left', 'right']);
    expect(bareConvolutions(zooSpec('vgg11', { channels: 3, height: 32, width: 32, classes: 10 }))).toEqual([]);
    expect(bareConvolutions((await loadOnnx(onnxFixture('dense').path)).spec)).toEqual([]);
  });
});

describe('folding', () => {
  const stream = keyedRandom(4, 'fold');
  const folds = (spec: ReturnType<typeof parseSpec>): Network => ({ spec, weights: randomWeights(spec, () => stream.normal()) });
  const input = { channels: 3, height: 24, width: 24 };

  it('leaves a batch-norm whose layer has another reader, and one behind no layer', () => {
    const shared = folds(
      parseSpec({
        input,
        classes: 4,
        nodes: [
          { id: 'c', type: 'conv2d', inputs: ['input'], attributes: { filters: 4, kernel: 3, padding: 1, bias: false } },
          { id: 'n', type: 'batch-norm', inputs: ['c'] },
          { id: 'a', type: 'add', inputs: ['n', 'c'] },
          { id: 'm', type: 'batch-norm', inputs: ['a'] },
          { id: 'g', type: 'global-average-pool', inputs: ['m'] },
        ],
      }),
    );
    expect(foldBatchNorm(shared)).toEqual(shared);
  });

  it('works into grouped convolutions and linear layers', async () => {
    const network = folds(
      parseSpec({
        input,
        classes: 4,
        nodes: [
          { id: 'c', type: 'conv2d', attributes: { filters: 6, kernel: 3, groups: 3, bias: true } },
          { id: 'n', type: 'batch-norm', attributes: { epsilon: 1e-3 } },
          { id: 'r', type: 'relu' },
          { id: 'g', type: 'global-average-pool' },
          { id: 'l', type: 'linear', attributes: { features: 4, bias: false } },
          { id: 'm', type: 'batch-norm' },
        ],
      }),
    );
    const folded = foldBatchNorm(network);
    expect(folded.spec.nodes.map(({ id }) => id)).toEqual(['c', 'r', 'g', 'l']);
    const [before, after] = [
      await deviceLogits(gpu, network, fixture.pixels, preprocessing),
      await deviceLogits(gpu, folded, fixture.pixels, preprocessing),
    ];
    expect(relativeDifference(after, before)).toBeLessThan(1e-5);
    expect([...network.weights.keys()]).toContain('n.weight');
  });
});
